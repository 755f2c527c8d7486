// SPDX-License-Identifier: Apache-2.0
// How much routes may be on all listeners together. A route is on a listener once for each of its hostnames and
// matches, and may name 32 Gateways of 64 listeners each: a few kilobytes would be millions of entries. One namespace
// cannot take all there is. Once there is no room for a route there is none for whoever comes later, until the next
// plan.
#pragma once

#include <cstddef>
#include <string_view>
#include <unordered_map>

namespace sluice::plan {

// What a regular expression takes beside the entries of its match: it is compiled anew for each snapshot, once a port
// however many hostnames the route has. A match may have 33.
constexpr std::size_t kRegexEntries = 16;

struct RouteEntriesMax {
    std::size_t all = 500'000;
    std::size_t of_namespace = 200'000;
    bool operator==(const RouteEntriesMax&) const = default;
};

class RouteRoom {
public:
    explicit RouteRoom(const RouteEntriesMax& max) : max_(max), all_(max.all) {}
    [[nodiscard]] const RouteEntriesMax& max() const { return max_; }

    // For a route of namespace `ns`, which must outlive this. False: there is no room for as many.
    [[nodiscard]] bool take(std::string_view ns, std::size_t entries)
    {
        std::size_t& own = own_of(ns);
        if (entries > own) {
            own = 0;
            return false;
        }
        if (entries > all_) {
            all_ = 0;
            return false;
        }
        own -= entries;
        all_ -= entries;
        return true;
    }
    [[nodiscard]] bool is_full(std::string_view ns) { return all_ == 0 || own_of(ns) == 0; }

    // What is left, to be put back.
    struct Left {
        std::size_t all;
        std::size_t own;
    };
    [[nodiscard]] Left left(std::string_view ns) { return {all_, own_of(ns)}; }
    void restore(std::string_view ns, const Left& left)
    {
        all_ = left.all;
        own_of(ns) = left.own;
    }

private:
    std::size_t& own_of(std::string_view ns) { return own_.try_emplace(ns, max_.of_namespace).first->second; }

    RouteEntriesMax max_;
    std::size_t all_;
    std::unordered_map<std::string_view, std::size_t> own_;
};

}  // namespace sluice::plan
