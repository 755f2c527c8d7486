// SPDX-License-Identifier: Apache-2.0
// Small builders of an HttpPort, and requests in one line. A rule's name says which entry leads to it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/proxy/router.h"

namespace sluice::proxy::test {

using model::PathMatchType;
using model::ValueMatchType;

inline model::HttpMatch path_match(PathMatchType type, std::string value)
{
    model::HttpMatch match;
    match.path = {type, std::move(value)};
    return match;
}
inline model::HttpMatch exact(std::string value) { return path_match(PathMatchType::Exact, std::move(value)); }
inline model::HttpMatch prefix(std::string value) { return path_match(PathMatchType::PathPrefix, std::move(value)); }
inline model::HttpMatch regex(std::string value)
{
    return path_match(PathMatchType::RegularExpression, std::move(value));
}

// Adds a host whose i-th entry leads to a rule named "<label><i>".
inline void add_host(plan::HttpListener& listener, std::string hostname, const std::string& label,
                     const std::vector<model::HttpMatch>& matches)
{
    plan::HttpHost& host = listener.hosts.emplace_back();
    host.hostname = std::move(hostname);
    for (std::size_t i = 0; i < matches.size(); ++i) {
        listener.rules.push_back(plan::HttpRule{.name = label + std::to_string(i)});
        host.entries.push_back({matches[i], listener.rules.back()});
    }
}

inline plan::HttpListener& add_listener(plan::HttpPort& port, std::string name, std::string hostname)
{
    plan::HttpListener& listener = port.listeners.emplace_back();
    listener.name = std::move(name);
    listener.hostname = std::move(hostname);
    return listener;
}

// A port with one listener for every host, and one host "" with these entries: rules "0", "1", …
inline plan::HttpPort port_of(const std::vector<model::HttpMatch>& matches)
{
    plan::HttpPort port;
    add_host(add_listener(port, "all", ""), "", "", matches);
    return port;
}

// "listener rule", "-" for what is not found.
inline std::string outcome(const Router& router, const RequestView& request)
{
    const RouteResult result = router.route(request);
    return (result.listener != nullptr ? result.listener->name : "-") + " " +
           (result.rule != nullptr ? result.rule->name : "-");
}

inline std::string rule_for(const Router& router, const RequestView& request)
{
    const RouteResult result = router.route(request);
    return result.rule != nullptr ? result.rule->name : "-";
}

inline RequestView get(std::string_view authority, std::string_view path = "/")
{
    return {.method = "GET", .authority = authority, .path = path, .query = {}, .headers = {}};
}

}  // namespace sluice::proxy::test
