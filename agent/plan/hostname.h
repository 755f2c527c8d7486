// SPDX-License-Identifier: Apache-2.0
// Hostnames as Listeners and routes write them: "" is every host, "*.example.com" one or more labels before
// ".example.com" but not the bare domain, anything else itself. Pure functions over lower-case names.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/plan/state.h"

namespace sluice::plan {

[[nodiscard]] std::string to_lower(std::string_view text);

// The hosts that both names cover, as one name; none when they cover no host in common.
[[nodiscard]] std::optional<std::string> intersect(std::string_view a, std::string_view b);

// Orders hosts by precedence: exact names, then wildcards from long to short, then "". Names of equal rank by text.
[[nodiscard]] bool is_more_specific(std::string_view a, std::string_view b);

// The hosts that a route with these hostnames serves on a listener, most specific first, each once. Where several of
// the route's hostnames lead to one host, the most specific of them is kept.
[[nodiscard]] std::vector<ServedHost> served_hosts(std::string_view listener_hostname,
                                                   const std::vector<std::string>& route_hostnames);

}  // namespace sluice::plan
