// SPDX-License-Identifier: Apache-2.0
// TCPRoutes and UDPRoutes: their backends, and the listeners that the kernel serves.
#pragma once

#include <vector>

#include "agent/plan/references.h"
#include "agent/plan/state.h"

namespace sluice::plan {

// Fills in the one rule and `resolved`.
void build_l4_rule(RouteState& route, References& references);

// The served TCP and UDP listeners by name. All attached routes count; the oldest alone gets the traffic.
[[nodiscard]] std::vector<L4Listener> build_l4_listeners(const std::vector<GatewayState>& gateways);

}  // namespace sluice::plan
