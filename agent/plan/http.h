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

// UnsupportedValue with the first filter or invalid regular expression, by field.
[[nodiscard]] Verdict check_http_route(const model::HttpRoute& route, RegexErrors& regex_errors);
[[nodiscard]] Verdict check_grpc_route(const model::GrpcRoute& route, RegexErrors& regex_errors);

// Fills in the rules and `resolved`.
void build_http_rules(RouteState& route, References& references);
void build_grpc_rules(RouteState& route, References& references);

// The served HTTP and HTTPS listeners by port and set of addresses, in that order; listeners by name, hosts by
// precedence.
[[nodiscard]] std::vector<HttpPort> build_http_ports(const std::vector<GatewayState>& gateways);

}  // namespace sluice::plan
