// SPDX-License-Identifier: Apache-2.0
// HTTPRoutes and GRPCRoutes: what of them is not supported, their rules, and the HTTP ports that the proxy serves.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "agent/plan/references.h"
#include "agent/plan/state.h"

namespace sluice::plan {

// RE2's error by expression, empty for a good one: routes share expressions, and compiling is dear.
using RegexErrors = std::unordered_map<std::string, std::string>;

// Fills in the rules, `resolved`, and what is not supported: `supported` of a route without a rule that is, `dropped`
// of another. A rule whose matches are not supported is left out; one whose filters are not answers 500.
void build_http_rules(RouteState& route, References& references, RegexErrors& regex_errors);
void build_grpc_rules(RouteState& route, References& references, RegexErrors& regex_errors);

// The served HTTP and HTTPS listeners by port and set of addresses, in that order; listeners by name, hosts by
// precedence.
[[nodiscard]] std::vector<HttpPort> build_http_ports(const std::vector<GatewayState>& gateways);

}  // namespace sluice::plan
