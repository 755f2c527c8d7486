// SPDX-License-Identifier: Apache-2.0
// Hostnames as Listeners and routes write them: "" is every host, "*.example.com" one or more labels before
// ".example.com" but not the bare domain, anything else itself. Pure functions over lower-case names.
#pragma once

#include <optional>
#include <set>
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

// Whether every host of `name` is one of `pattern`.
[[nodiscard]] bool covers(std::string_view pattern, std::string_view name);

// Names among which those are found that have a host in common with another, without comparing them all.
class HostnameSet {
public:
    void insert(std::string_view name) { reversed_.emplace(name.rbegin(), name.rend()); }
    [[nodiscard]] bool empty() const { return reversed_.empty(); }
    [[nodiscard]] bool overlaps(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> overlapping(std::string_view name) const;

private:
    // Calls `use` with each of them, reversed, until it returns true. Whether it did.
    template <class Use> bool find_overlapping(std::string_view name, const Use& use) const;

    std::set<std::string, std::less<>> reversed_;  // so that what ends alike stands together
};

// The hosts that a route with these hostnames serves on a listener, most specific first, each once. Where several of
// the route's hostnames lead to one host, the most specific of them is kept.
[[nodiscard]] std::vector<ServedHost> served_hosts(std::string_view listener_hostname,
                                                   const HostnameSet& route_hostnames);

}  // namespace sluice::plan
