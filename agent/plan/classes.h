// SPDX-License-Identifier: Apache-2.0
// Which GatewayClasses and Gateways are ours, and on which addresses those Gateways serve.
#pragma once

#include <vector>

#include "agent/plan/state.h"

namespace sluice::plan {

// The Gateways whose class names our controller, with parameters, addresses and (unchecked) listeners filled in.
// Appends the status of our classes; classes of other controllers get none.
[[nodiscard]] std::vector<GatewayState> find_gateways(const model::Objects& objects, const NodeFacts& facts,
                                                      model::Statuses& statuses);

}  // namespace sluice::plan
