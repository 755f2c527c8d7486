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

void HostnameSet::insert(std::string_view name)
{
    names_.emplace(name);
    reversed_.emplace(name.rbegin(), name.rend());
}

bool HostnameSet::overlaps(std::string_view name) const
{
    if (names_.empty())
        return false;
    if (name.empty() || names_.contains("") || names_.contains(name))
        return true;
    // A wildcard of the set that covers it.
    for (std::size_t dot = name.find('.', 1); dot != std::string_view::npos; dot = name.find('.', dot + 1))
        if (names_.contains("*" + std::string(name.substr(dot))))
            return true;
    if (!is_wildcard(name))
        return false;
    // A name of the set that it covers.
    const std::string end(name.rbegin(), name.rend() - 1);
    const auto found = reversed_.lower_bound(end);
    return found != reversed_.end() && found->starts_with(end);
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

std::vector<ServedHost> served_hosts(std::string_view listener_hostname,
                                     const std::vector<std::string>& route_hostnames)
{
    std::vector<ServedHost> hosts;
    if (route_hostnames.empty()) {
        hosts.push_back({std::string(listener_hostname), ""});
        return hosts;
    }
    for (const std::string& written : route_hostnames) {
        std::string hostname = to_lower(written);
        if (auto both = intersect(listener_hostname, hostname))
            hosts.push_back({std::move(*both), std::move(hostname)});
    }
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
