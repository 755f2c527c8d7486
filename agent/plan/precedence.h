// SPDX-License-Identifier: Apache-2.0
// The order in which the matches of one host are tried.
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/model/route.h"
#include "base/shared.h"

namespace sluice::plan {

struct Candidate {
    const Shared<model::HttpMatch>* match = nullptr;
    std::string_view route_hostname;  // as the route wrote it, not the intersection with the listener's; "" for none
    std::uint32_t rule = 0;           // numbered from the oldest route's first rule on
    std::uint32_t match_index = 0;    // within the rule
    const model::GrpcMethodMatch* method = nullptr;  // of a GRPCRoute: what the path was made of
};

// The more specific hostname of the route (Gateway API 1.7), then Exact path, RegularExpression, PathPrefix; of the
// last two the longer value; then a method, more headers, more query parameters, the older route, the earlier rule and
// match. Where regular expressions stand is left to implementations by the API: between the two, as in Envoy Gateway.
// Paths must be canonical: by a longer spelling of the same prefix a route would take what is another's.
// For GRPCRoutes in place of the path and what follows it: the longer service, the longer method, more headers. No host
// has both kinds of route.
[[nodiscard]] bool has_precedence(const Candidate& a, const Candidate& b);

}  // namespace sluice::plan
