// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "agent/plan/hostname.h"
#include "agent/plan/precedence.h"
#include "agent/plan/regex.h"

namespace sluice::plan {
namespace {

const std::string& regex_error(const std::string& expression, RegexErrors& errors)
{
    const auto [entry, is_new] = errors.try_emplace(expression);
    if (is_new)
        entry->second = RE2(expression, regex_options()).error();
    return entry->second;
}

Verdict check_regex(const std::string& expression, const std::string& field, RegexErrors& errors)
{
    const std::string& error = regex_error(expression, errors);
    if (error.empty())
        return {};
    return {"UnsupportedValue",
            fmt::format("{}: \"{}\" is not a regular expression that RE2 takes: {}", field, expression, error)};
}

Verdict check_values(const std::vector<model::ValueMatch>& values, const std::string& field, RegexErrors& errors)
{
    for (std::size_t i = 0; i < values.size(); ++i)
        if (values[i].type == model::ValueMatchType::RegularExpression)
            if (Verdict verdict = check_regex(values[i].value, fmt::format("{}[{}].value", field, i), errors);
                !verdict.ok())
                return verdict;
    return {};
}

Verdict check_match(const model::HttpMatch& match, const std::string& field, RegexErrors& errors)
{
    if (match.path.type == model::PathMatchType::RegularExpression)
        if (Verdict verdict = check_regex(match.path.value, field + ".path.value", errors); !verdict.ok())
            return verdict;
    if (Verdict verdict = check_values(match.headers, field + ".headers", errors); !verdict.ok())
        return verdict;
    return check_values(match.query_params, field + ".queryParams", errors);
}

Verdict check_filters(const std::vector<std::string>& filters, const std::string& field)
{
    if (filters.empty())
        return {};
    return {"UnsupportedValue", fmt::format("{}.filters[0].type {} is not supported; no filter is, leave them out",
                                            field, filters.front())};
}

// Of headers and query parameters with one name only the first counts, says the API.
void drop_repeated(std::vector<model::ValueMatch>& values, bool ignore_case)
{
    for (std::size_t i = 1; i < values.size();) {
        const auto same = [&](const model::ValueMatch& other) {
            return ignore_case ? to_lower(other.name) == to_lower(values[i].name) : other.name == values[i].name;
        };
        const auto here = values.begin() + static_cast<std::ptrdiff_t>(i);
        if (std::any_of(values.begin(), here, same))
            values.erase(here);
        else
            ++i;
    }
}

HttpRule to_rule(const RouteState& route, std::size_t index)
{
    const model::HttpRouteRule& spec = route.http->rules[index];
    HttpRule rule;
    rule.name = fmt::format("{}/{}", full_name(route.spec->meta), index);
    rule.backends = route.rules[index].backends;
    rule.request_timeout_ms = spec.request_timeout_ms.value_or(0);
    rule.backend_request_timeout_ms = spec.backend_request_timeout_ms.value_or(0);
    return rule;
}

// Adds every match of an attached route under each of its hosts.
void add_candidates(const Attachment& attachment, std::uint32_t first_rule,
                    std::unordered_map<std::string_view, std::vector<Candidate>>& hosts)
{
    for (const ServedHost& host : attachment.hosts) {
        std::vector<Candidate>& candidates = hosts[host.hostname];
        for (std::uint32_t rule = 0; rule < attachment.route->rules.size(); ++rule) {
            const std::vector<model::HttpMatch>& matches = attachment.route->rules[rule].matches;
            for (std::uint32_t i = 0; i < matches.size(); ++i)
                candidates.push_back({&matches[i], host.route_hostname, first_rule + rule, i});
        }
    }
}

HttpListener to_listener(const ListenerState& state)
{
    HttpListener listener;
    listener.name = state.name;
    listener.hostname = state.hostname;
    std::unordered_map<std::string_view, std::vector<Candidate>> hosts;
    for (const Attachment& attachment : state.attachments) {
        add_candidates(attachment, static_cast<std::uint32_t>(listener.rules.size()), hosts);
        for (std::size_t i = 0; i < attachment.route->rules.size(); ++i)
            listener.rules.push_back(to_rule(*attachment.route, i));
    }
    listener.hosts.reserve(hosts.size());
    for (auto& [hostname, candidates] : hosts) {
        std::ranges::sort(candidates, has_precedence);
        HttpHost& host = listener.hosts.emplace_back();
        host.hostname = hostname;
        host.entries.reserve(candidates.size());
        for (const Candidate& candidate : candidates)
            host.entries.push_back({*candidate.match, candidate.rule});
    }
    std::ranges::sort(listener.hosts, is_more_specific, &HttpHost::hostname);
    return listener;
}

}  // namespace

Verdict check_http_route(const model::HttpRoute& route, RegexErrors& regex_errors)
{
    for (std::size_t i = 0; i < route.rules.size(); ++i) {
        const model::HttpRouteRule& rule = route.rules[i];
        const std::string field = fmt::format("spec.rules[{}]", i);
        if (Verdict verdict = check_filters(rule.filters, field); !verdict.ok())
            return verdict;
        for (std::size_t j = 0; j < rule.backend_refs.size(); ++j)
            if (Verdict verdict =
                    check_filters(rule.backend_refs[j].filters, fmt::format("{}.backendRefs[{}]", field, j));
                !verdict.ok())
                return verdict;
        for (std::size_t j = 0; j < rule.matches.size(); ++j)
            if (Verdict verdict = check_match(rule.matches[j], fmt::format("{}.matches[{}]", field, j), regex_errors);
                !verdict.ok())
                return verdict;
    }
    return {};
}

void build_http_rules(RouteState& route, References& references)
{
    for (std::size_t i = 0; i < route.http->rules.size(); ++i) {
        const model::HttpRouteRule& spec = route.http->rules[i];
        RuleState& rule = route.rules.emplace_back();
        rule.matches = spec.matches;
        for (model::HttpMatch& match : rule.matches) {
            drop_repeated(match.headers, true);
            drop_repeated(match.query_params, false);
        }
        for (std::size_t j = 0; j < spec.backend_refs.size(); ++j) {
            const std::string field = fmt::format("spec.rules[{}].backendRefs[{}]", i, j);
            Backend backend = references.resolve(route, spec.backend_refs[j], "TCP", field, route.resolved);
            if (backend.weight > 0)
                rule.backends.push_back(std::move(backend));
        }
    }
}

std::vector<HttpPort> build_http_ports(const std::vector<GatewayState>& gateways)
{
    std::map<std::pair<std::uint16_t, std::vector<IpAddress>>, HttpPort> ports;
    for (const GatewayState& gateway : gateways) {
        for (const ListenerState& listener : gateway.listeners) {
            if (!listener.served || listener.protocol != ListenerProtocol::Http)
                continue;
            HttpPort& port = ports[{listener.spec->port, gateway.addresses}];
            port.addresses = gateway.addresses;
            port.port = listener.spec->port;
            port.listeners.push_back(to_listener(listener));
        }
    }
    std::vector<HttpPort> result;
    for (auto& [key, port] : ports) {
        std::ranges::sort(port.listeners, {}, &HttpListener::name);
        result.push_back(std::move(port));
    }
    return result;
}

}  // namespace sluice::plan
