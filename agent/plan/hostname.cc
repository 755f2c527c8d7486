// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/hostname.h"

#include <algorithm>

namespace sluice::plan {
namespace {

bool is_wildcard(std::string_view name) { return name.starts_with("*."); }

int specificity_class(std::string_view name)
{
    if (name.empty())
        return 2;
    return is_wildcard(name) ? 1 : 0;
}

}  // namespace

std::string to_lower(std::string_view text)
{
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return result;
}

bool covers(std::string_view pattern, std::string_view name)
{
    if (pattern.empty() || pattern == name)
        return true;
    if (!is_wildcard(pattern) || name.empty())
        return false;
    const std::string_view suffix = pattern.substr(1);
    const std::string_view rest = is_wildcard(name) ? name.substr(1) : name;
    return rest.size() > suffix.size() && rest.ends_with(suffix);
}

std::optional<std::string> intersect(std::string_view a, std::string_view b)
{
    if (covers(a, b))
        return std::string(b);
    if (covers(b, a))
        return std::string(a);
    return std::nullopt;
}

template <class Use> bool HostnameSet::find_overlapping(std::string_view name, const Use& use) const
{
    if (name.empty())
        return std::ranges::any_of(reversed_, use);
    if (reversed_.contains(std::string_view()) && use(std::string_view()))
        return true;
    const std::string reversed(name.rbegin(), name.rend());
    std::size_t end = reversed.size();
    if (is_wildcard(name)) {  // covers itself, and what ends like it
        const std::string_view below = std::string_view(reversed).substr(0, --end);
        for (auto at = reversed_.lower_bound(below); at != reversed_.end() && at->starts_with(below); ++at)
            if (use(*at))
                return true;
    } else if (reversed_.contains(reversed) && use(reversed)) {
        return true;
    }
    // The wildcards above it.
    std::string wildcard;
    for (std::size_t dot = reversed.find('.'); dot < end && dot + 1 < end; dot = reversed.find('.', dot + 1)) {
        wildcard.assign(reversed, 0, dot + 1).push_back('*');
        if (reversed_.contains(wildcard) && use(wildcard))
            return true;
    }
    return false;
}

bool HostnameSet::overlaps(std::string_view name) const
{
    return find_overlapping(name, [](std::string_view) { return true; });
}

std::vector<std::string> HostnameSet::overlapping(std::string_view name) const
{
    std::vector<std::string> names;
    find_overlapping(name, [&](std::string_view reversed) {
        names.emplace_back(reversed.rbegin(), reversed.rend());
        return false;
    });
    return names;
}

bool is_more_specific(std::string_view a, std::string_view b)
{
    const int class_a = specificity_class(a);
    const int class_b = specificity_class(b);
    if (class_a != class_b)
        return class_a < class_b;
    if (a.size() != b.size())
        return a.size() > b.size();
    return a < b;
}

std::vector<ServedHost> served_hosts(std::string_view listener_hostname, const HostnameSet& route_hostnames)
{
    std::vector<ServedHost> hosts;
    if (route_hostnames.empty()) {
        hosts.push_back({std::string(listener_hostname), ""});
        return hosts;
    }
    for (std::string& hostname : route_hostnames.overlapping(listener_hostname))
        if (auto both = intersect(listener_hostname, hostname))
            hosts.push_back({std::move(*both), std::move(hostname)});
    std::ranges::sort(hosts, [](const ServedHost& a, const ServedHost& b) {
        if (a.hostname != b.hostname)
            return is_more_specific(a.hostname, b.hostname);
        return is_more_specific(a.route_hostname, b.route_hostname);
    });
    const auto repeated = std::ranges::unique(hosts, {}, &ServedHost::hostname);
    hosts.erase(repeated.begin(), repeated.end());
    return hosts;
}

}  // namespace sluice::plan
