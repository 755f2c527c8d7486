// SPDX-License-Identifier: Apache-2.0
// Which listeners are valid, which of them get in each other's way, and so which are served.
#pragma once

#include <vector>

#include "agent/plan/state.h"

namespace sluice::plan {

// Fills in protocol, supported kinds and verdicts of every listener on its own.
void check_listeners(GatewayState& gateway);

// Finds conflicts within each Gateway, then between Gateways that share an address, and marks what is served.
// `gateways` are ordered from old to young: the older one keeps a port that two want.
void resolve_conflicts(std::vector<GatewayState>& gateways);

}  // namespace sluice::plan
