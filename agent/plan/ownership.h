// SPDX-License-Identifier: Apache-2.0
// Which node has an address. Every node comes to the same answer from the same members, without asking another.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/model/objects.h"
#include "agent/plan/plan.h"

namespace sluice::plan {

// The members that the config's nodeSelector lets own addresses, sorted. A member without a Node object has no labels.
[[nodiscard]] std::vector<std::string> eligible_members(const model::NodeGatewayConfig& config,
                                                        const model::Objects& objects, const NodeFacts& facts);

// By rendezvous (highest random weight): when a member goes, only its own addresses move; when one comes, only those
// that it takes. "" without members.
[[nodiscard]] std::string_view owner_of(const IpAddress& address, const std::vector<std::string>& members);

}  // namespace sluice::plan
