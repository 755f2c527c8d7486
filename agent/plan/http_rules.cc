// SPDX-License-Identifier: Apache-2.0
// What of HTTPRoutes and GRPCRoutes is not supported, and their rules.
#include <fmt/format.h>

#include <algorithm>

#include "agent/plan/field_path.h"
#include "agent/plan/hostname.h"
#include "agent/plan/http.h"
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

Verdict check_regex(const std::string& expression, const FieldPath& field, RegexErrors& errors)
{
    const std::string& error = regex_error(expression, errors);
    if (error.empty())
        return {};
    return {"UnsupportedValue", fmt::format("{}: \"{}\" is not a regular expression that RE2 takes: {}",
                                            field.to_string(), expression, error)};
}

Verdict check_values(const std::vector<model::ValueMatch>& values, const FieldPath& match, std::string_view name,
                     RegexErrors& errors)
{
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (values[i].type != model::ValueMatchType::RegularExpression)
            continue;
        const FieldPath field(match, name, i);
        if (Verdict verdict = check_regex(values[i].value, {field, "value"}, errors); !verdict.ok())
            return verdict;
    }
    return {};
}

Verdict check_match(const model::HttpMatch& match, const FieldPath& field, RegexErrors& errors)
{
    if (match.path.type == model::PathMatchType::RegularExpression)
        if (Verdict verdict = check_regex(match.path.value, {field, "path.value"}, errors); !verdict.ok())
            return verdict;
    if (Verdict verdict = check_values(match.headers, field, "headers", errors); !verdict.ok())
        return verdict;
    return check_values(match.query_params, field, "queryParams", errors);
}

// Framing and routing are the gateway's own.
Verdict check_modifier(const model::HeaderModifier& modifier, const FieldPath& field)
{
    const std::string* refused = nullptr;
    const auto check = [&](const std::string& name) {
        for (const char* own : {"host", "content-length", "transfer-encoding", "connection", "te", "upgrade"})
            if (refused == nullptr && to_lower(name) == own)
                refused = &name;
    };
    std::ranges::for_each(modifier.remove, check);
    std::ranges::for_each(modifier.set, check, &model::HeaderField::name);
    std::ranges::for_each(modifier.add, check, &model::HeaderField::name);
    if (refused == nullptr)
        return {};
    return {"UnsupportedValue",
            fmt::format("{}.filters: {} is written by the gateway itself", field.to_string(), *refused)};
}

Verdict check_filters(const model::Filters& filters, std::initializer_list<std::string_view> supported,
                      const FieldPath& field)
{
    for (std::size_t i = 0; i < filters.types.size(); ++i)
        if (std::ranges::find(supported, filters.types[i]) == supported.end())
            return {"UnsupportedValue",
                    fmt::format("{}.type {} is not supported here; supported: {}",
                                FieldPath(field, "filters", i).to_string(), filters.types[i],
                                supported.size() == 0 ? "none" : fmt::to_string(fmt::join(supported, ", ")))};
    if (Verdict verdict = check_modifier(filters.request_headers, field); !verdict.ok())
        return verdict;
    return check_modifier(filters.response_headers, field);
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

// The filters of a rule and of its backends: HTTPRoutes and GRPCRoutes have the same.
template <class Rule> Verdict check_rule_filters(const Rule& rule, const FieldPath& field)
{
    if (Verdict verdict =
            check_filters(rule.filters, {"RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect"}, field);
        !verdict.ok())
        return verdict;
    for (std::size_t j = 0; j < rule.backend_refs.size(); ++j)
        if (Verdict verdict = check_filters(rule.backend_refs[j].filters, {}, {field, "backendRefs", j}); !verdict.ok())
            return verdict;
    return {};
}

// The paths that a method is called by: /service/method.
model::PathMatch to_path(const model::GrpcMethodMatch& match)
{
    constexpr const char* kAny = "[^/]+";
    if (match.service.empty() && match.method.empty())
        return {model::PathMatchType::PathPrefix, "/"};
    if (match.type == model::ValueMatchType::RegularExpression)
        return {model::PathMatchType::RegularExpression,
                fmt::format("/(?:{})/(?:{})", match.service.empty() ? kAny : match.service,
                            match.method.empty() ? kAny : match.method)};
    if (match.method.empty())
        return {model::PathMatchType::PathPrefix, fmt::format("/{}/", match.service)};
    if (match.service.empty())
        return {model::PathMatchType::RegularExpression, fmt::format("/{}/{}", kAny, RE2::QuoteMeta(match.method))};
    return {model::PathMatchType::Exact, fmt::format("/{}/{}", match.service, match.method)};
}

Verdict check_grpc_match(const model::GrpcMatch& match, const FieldPath& field, RegexErrors& errors)
{
    if (match.method.type == model::ValueMatchType::RegularExpression) {
        // Each alone, before they are joined: a parenthesis of one must not end in the other.
        if (Verdict verdict = check_regex(match.method.service, {field, "method.service"}, errors); !verdict.ok())
            return verdict;
        if (Verdict verdict = check_regex(match.method.method, {field, "method.method"}, errors); !verdict.ok())
            return verdict;
    }
    if (const model::PathMatch path = to_path(match.method); path.type == model::PathMatchType::RegularExpression)
        if (Verdict verdict = check_regex(path.value, {field, "method"}, errors); !verdict.ok())
            return verdict;
    return check_values(match.headers, field, "headers", errors);
}

std::vector<Backend> resolve_backends(RouteState& route, const std::vector<model::BackendRef>& refs, std::size_t rule,
                                      References& references)
{
    std::vector<Backend> backends;
    backends.reserve(refs.size());
    const FieldPath parent("spec.rules", rule);
    for (std::size_t j = 0; j < refs.size(); ++j) {
        const FieldPath field(parent, "backendRefs", j);
        Backend backend = references.with_policy(route, refs[j], references.resolve(route, refs[j], "TCP", field));
        if (backend.weight > 0)
            backends.push_back(std::move(backend));
    }
    return backends;
}

// What the rules of both kinds have.
HttpRule begin_rule(const RouteState& route, std::size_t index, const model::Filters& filters)
{
    HttpRule rule;
    rule.name = full_name(route.spec->meta);
    rule.name.append("/").append(std::to_string(index));
    rule.filters = filters;
    return rule;
}

}  // namespace

Verdict check_http_route(const model::HttpRoute& route, RegexErrors& regex_errors)
{
    for (std::size_t i = 0; i < route.rules.size(); ++i) {
        const model::HttpRouteRule& rule = route.rules[i];
        const FieldPath field("spec.rules", i);
        if (Verdict verdict = check_rule_filters(rule, field); !verdict.ok())
            return verdict;
        for (std::size_t j = 0; j < rule.matches.size(); ++j)
            if (Verdict verdict = check_match(rule.matches[j], {field, "matches", j}, regex_errors); !verdict.ok())
                return verdict;
    }
    return {};
}

Verdict check_grpc_route(const model::GrpcRoute& route, RegexErrors& regex_errors)
{
    for (std::size_t i = 0; i < route.rules.size(); ++i) {
        const model::GrpcRouteRule& rule = route.rules[i];
        const FieldPath field("spec.rules", i);
        if (Verdict verdict = check_rule_filters(rule, field); !verdict.ok())
            return verdict;
        for (std::size_t j = 0; j < rule.matches.size(); ++j)
            if (Verdict verdict = check_grpc_match(rule.matches[j], {field, "matches", j}, regex_errors); !verdict.ok())
                return verdict;
    }
    return {};
}

void build_http_rules(RouteState& route, References& references)
{
    for (std::size_t i = 0; i < route.http->rules.size(); ++i) {
        const model::HttpRouteRule& spec = route.http->rules[i];
        RuleState& rule = route.rules.emplace_back();
        for (model::HttpMatch match : spec.matches) {
            drop_repeated(match.headers, true);
            drop_repeated(match.query_params, false);
            rule.matches.push_back(std::move(match));
        }
        HttpRule http = begin_rule(route, i, spec.filters);
        http.request_timeout_ms = spec.request_timeout_ms.value_or(0);
        http.backend_request_timeout_ms = spec.backend_request_timeout_ms.value_or(0);
        http.backends = resolve_backends(route, spec.backend_refs, i, references);
        rule.http = std::move(http);
    }
}

void build_grpc_rules(RouteState& route, References& references)
{
    for (std::size_t i = 0; i < route.grpc->rules.size(); ++i) {
        const model::GrpcRouteRule& spec = route.grpc->rules[i];
        RuleState& rule = route.rules.emplace_back();
        for (const model::GrpcMatch& match : spec.matches) {
            model::HttpMatch as_http;
            as_http.path = to_path(match.method);
            as_http.headers = match.headers;
            drop_repeated(as_http.headers, true);
            rule.matches.push_back(std::move(as_http));
            rule.methods.push_back(match.method);
        }
        HttpRule http = begin_rule(route, i, spec.filters);
        http.grpc = true;
        http.backends = resolve_backends(route, spec.backend_refs, i, references);
        rule.http = std::move(http);
    }
}

}  // namespace sluice::plan
