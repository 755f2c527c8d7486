// SPDX-License-Identifier: Apache-2.0
// What of HTTPRoutes and GRPCRoutes is not supported, and their rules.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <type_traits>

#include "agent/plan/field_path.h"
#include "agent/plan/hostname.h"
#include "agent/plan/http.h"
#include "agent/plan/regex.h"
#include "base/canonical_path.h"

namespace sluice::plan {
namespace {

// From here on dropped rules are only named: the message stands in the status once for each parent.
constexpr std::size_t kDroppedDetailsMax = 1024;

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

// As requests have it, so that what is ranked is what is compared. Of a prefix the '/' behind it does not count. None:
// no request has such a path.
std::optional<std::string> canonical_value(const model::PathMatch& path)
{
    std::string room(path.value.size(), '\0');
    auto value = canonical_path(path.value, room);
    if (!value)
        return std::nullopt;
    if (path.type == model::PathMatchType::PathPrefix && value->size() > 1 && value->ends_with('/'))
        value->remove_suffix(1);
    return std::string(*value);
}

// Makes the path canonical.
Verdict settle_path(model::PathMatch& path, const FieldPath& field, RegexErrors& errors)
{
    if (path.type == model::PathMatchType::RegularExpression)
        return check_regex(path.value, field, errors);
    std::optional<std::string> canonical = canonical_value(path);
    if (!canonical)
        return {"UnsupportedValue", fmt::format("{}: \"{}\" is a path that no request may have; one without %00, %2F, "
                                                "%5C, \"..;\" and \"..\" above the root is accepted",
                                                field.to_string(), path.value)};
    path.value = std::move(*canonical);
    return {};
}

// Framing and routing are the gateway's own.
bool is_own(std::string_view lower_name)
{
    constexpr std::string_view kOwn[] = {"host", "content-length", "transfer-encoding", "connection", "te", "upgrade"};
    return std::ranges::find(kOwn, lower_name) != std::end(kOwn);
}

// One action of a modifier; `names` are those of the actions before it, in lower case.
Verdict check_action(const std::string& name, std::set<std::string>& names, const FieldPath& field)
{
    std::string lower = to_lower(name);
    if (is_own(lower))
        return {"UnsupportedValue", fmt::format("{}: {} is written by the gateway itself", field.to_string(), name)};
    if (!names.insert(std::move(lower)).second)
        return {"UnsupportedValue", fmt::format("{}: a second action on {}; one is accepted for each header name",
                                                field.to_string(), name)};
    return {};
}

Verdict check_modifier(const model::HeaderModifier& modifier, const FieldPath& field)
{
    std::set<std::string> names;
    const auto check_list = [&](const auto& actions, std::string_view list, const auto& name_of) -> Verdict {
        for (std::size_t i = 0; i < actions.size(); ++i)
            if (Verdict verdict = check_action(std::invoke(name_of, actions[i]), names, {field, list, i});
                !verdict.ok())
                return verdict;
        return {};
    };
    if (Verdict verdict = check_list(modifier.set, "set", &model::HeaderField::name); !verdict.ok())
        return verdict;
    if (Verdict verdict = check_list(modifier.add, "add", &model::HeaderField::name); !verdict.ok())
        return verdict;
    return check_list(modifier.remove, "remove", std::identity());
}

Verdict check_filters(const model::Filters& filters, std::initializer_list<std::string_view> supported,
                      const FieldPath& field)
{
    for (std::size_t i = 0; i < filters.types.size(); ++i) {
        const std::string& type = filters.types[i];
        const FieldPath filter(field, "filters", i);
        if (std::ranges::find(supported, type) == supported.end())
            return {"UnsupportedValue",
                    fmt::format("{}.type {} is not supported here; supported: {}", filter.to_string(), type,
                                supported.size() == 0 ? "none" : fmt::to_string(fmt::join(supported, ", ")))};
        Verdict verdict;
        if (type == "RequestHeaderModifier")
            verdict = check_modifier(filters.request_headers, {filter, "requestHeaderModifier"});
        else if (type == "ResponseHeaderModifier")
            verdict = check_modifier(filters.response_headers, {filter, "responseHeaderModifier"});
        if (!verdict.ok())
            return verdict;
    }
    return {};
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
        return {model::PathMatchType::PathPrefix, fmt::format("/{}", match.service)};
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

// The matches of a rule as they are served. Not ok: one of them cannot be.
Verdict add_matches(const model::HttpRouteRule& spec, const FieldPath& field, RegexErrors& errors, RuleState& rule)
{
    for (std::size_t j = 0; j < spec.matches.size(); ++j) {
        model::HttpMatch match = spec.matches[j];
        const FieldPath at(field, "matches", j);
        if (Verdict verdict = settle_path(match.path, {at, "path.value"}, errors); !verdict.ok())
            return verdict;
        if (Verdict verdict = check_values(match.headers, at, "headers", errors); !verdict.ok())
            return verdict;
        if (Verdict verdict = check_values(match.query_params, at, "queryParams", errors); !verdict.ok())
            return verdict;
        drop_repeated(match.headers, true);
        drop_repeated(match.query_params, false);
        rule.matches.push_back(std::move(match));
    }
    return {};
}

Verdict add_matches(const model::GrpcRouteRule& spec, const FieldPath& field, RegexErrors& errors, RuleState& rule)
{
    for (std::size_t j = 0; j < spec.matches.size(); ++j) {
        const model::GrpcMatch& match = spec.matches[j];
        if (Verdict verdict = check_grpc_match(match, {field, "matches", j}, errors); !verdict.ok())
            return verdict;
        model::HttpMatch as_http;
        as_http.path = to_path(match.method);
        as_http.headers = match.headers;
        drop_repeated(as_http.headers, true);
        rule.matches.push_back(std::move(as_http));
        rule.methods.push_back(match.method);
    }
    return {};
}

std::vector<Backend> resolve_backends(RouteState& route, const std::vector<model::BackendRef>& refs,
                                      const FieldPath& rule, References& references)
{
    std::vector<Backend> backends;
    backends.reserve(refs.size());
    for (std::size_t j = 0; j < refs.size(); ++j) {
        const FieldPath field(rule, "backendRefs", j);
        Backend backend = references.with_policy(route, refs[j], references.resolve(route, refs[j], "TCP", field));
        if (backend.weight > 0)
            backends.push_back(std::move(backend));
    }
    return backends;
}

// What a rule does with its requests, where its filters are served.
void set_action(const model::HttpRouteRule& spec, std::vector<Backend> backends, HttpRule& rule)
{
    rule.filters = spec.filters;
    rule.request_timeout_ms = spec.request_timeout_ms.value_or(0);
    rule.backend_request_timeout_ms = spec.backend_request_timeout_ms.value_or(0);
    rule.backends = std::move(backends);
}

void set_action(const model::GrpcRouteRule& spec, std::vector<Backend> backends, HttpRule& rule)
{
    rule.filters = spec.filters;
    rule.backends = std::move(backends);
}

template <class Spec>
void build_rules(RouteState& route, const std::vector<Spec>& specs, References& references, RegexErrors& errors)
{
    std::size_t refused = 0;
    const auto refuse = [&](Verdict verdict, const FieldPath& field, std::string_view instead) {
        route.dropped += route.dropped.empty() ? "Dropped Rule " : ". Dropped Rule ";
        if (route.dropped.size() < kDroppedDetailsMax)
            route.dropped.append(verdict.message).append(instead);
        else
            route.dropped += field.to_string();
        if (++refused == 1)
            route.supported = std::move(verdict);
    };
    for (std::size_t i = 0; i < specs.size(); ++i) {
        const FieldPath field("spec.rules", i);
        // Of a rule that is dropped as well: ResolvedRefs is of all references.
        std::vector<Backend> backends = resolve_backends(route, specs[i].backend_refs, field, references);
        RuleState rule;
        if (Verdict verdict = add_matches(specs[i], field, errors, rule); !verdict.ok()) {
            refuse(std::move(verdict), field, "");
            continue;
        }
        HttpRule http;
        http.name = fmt::format("{}/{}", full_name(route.spec->meta), i);
        http.grpc = std::is_same_v<Spec, model::GrpcRouteRule>;
        if (Verdict verdict = check_rule_filters(specs[i], field); verdict.ok())
            set_action(specs[i], std::move(backends), http);
        else  // it answers 500: what a filter was to look at must not reach a backend by way of another rule
            refuse(std::move(verdict), field, " (what it matches is answered 500)");
        rule.http = std::move(http);
        route.rules.push_back(std::move(rule));
    }
    if (refused < specs.size()) {
        route.supported = {};
    } else {
        route.dropped.clear();
        route.rules.clear();
    }
}

}  // namespace

void build_http_rules(RouteState& route, References& references, RegexErrors& regex_errors)
{
    build_rules(route, route.http->rules, references, regex_errors);
}

void build_grpc_rules(RouteState& route, References& references, RegexErrors& regex_errors)
{
    build_rules(route, route.grpc->rules, references, regex_errors);
}

}  // namespace sluice::plan
