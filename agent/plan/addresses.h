// SPDX-License-Identifier: Apache-2.0
// On which addresses each Gateway serves: those of spec.addresses, one of each family out of the pools of its class's
// NodeGatewayConfig, or, where there is no pool, every address of the node.
#pragma once

#include <vector>

#include "agent/plan/state.h"

namespace sluice::plan {

// Fills in the addresses of every Gateway and what is to be said of them. `gateways` are sorted, oldest first.
// Out of a pool an address has one Gateway at a time, and keeps it for as long as it wants it: what the Gateway's
// status says goes before every new wish. New addresses are given by the leader alone; the other nodes serve what the
// status says, so that all of them agree whatever they have seen so far. A pool's addresses are given in their order,
// all of them: also the first and the last one of a CIDR.
void assign_addresses(std::vector<GatewayState>& gateways, const model::Objects& objects, const NodeFacts& facts);

// What assign_addresses gave out of pools, with owners; sorted by address.
[[nodiscard]] std::vector<PoolAddress> pool_addresses(const std::vector<GatewayState>& gateways,
                                                      const model::Objects& objects, const NodeFacts& facts);

// The addresses that this node makes local, never one of a Node of `objects`; sorted.
[[nodiscard]] std::vector<IpAddress> local_addresses(const std::vector<GatewayState>& gateways,
                                                     const std::vector<PoolAddress>& pool,
                                                     const model::Objects& objects, const NodeFacts& facts);

}  // namespace sluice::plan
