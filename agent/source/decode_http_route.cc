// SPDX-License-Identifier: Apache-2.0
// Decoder of HTTPRoute, with the rules that its CRD states.
#include <algorithm>

#include "agent/source/kinds.h"
#include "agent/source/route_parts.h"
#include "agent/source/validate.h"

namespace sluice::source {
namespace {

using model::PathMatchType;
using model::ValueMatchType;

PathMatchType decode_path_type(const Value& value)
{
    if (value.present() && value.node()->text == "Prefix") {
        value.refuse("the API knows only Exact, PathPrefix and RegularExpression; PathPrefix is meant");
        return PathMatchType::PathPrefix;
    }
    return value.one_of<PathMatchType>({{"Exact", PathMatchType::Exact},
                                        {"PathPrefix", PathMatchType::PathPrefix},
                                        {"RegularExpression", PathMatchType::RegularExpression}},
                                       PathMatchType::PathPrefix);
}

model::PathMatch decode_path(const Value& value)
{
    Fields f(value);
    model::PathMatch path;
    path.type = decode_path_type(f["type"]);
    path.value = f["value"].string_or(
        "/", path.type == PathMatchType::RegularExpression ? Check([](std::string_view text) -> Fault {
            return text.empty() || text.size() > 1024 ? Fault("must have 1 to 1024 characters") : std::nullopt;
        })
                                                           : plain_path);
    return path;
}

model::HttpMatch decode_match(const Value& value)
{
    using namespace std::string_literals;
    Fields f(value);
    model::HttpMatch match;
    match.path = decode_path(f["path"]);
    match.headers = decode_value_matches(f["headers"], header_value);
    match.query_params = decode_value_matches(f["queryParams"], query_value);
    match.method = f["method"].one_of<std::string>({{"GET", "GET"s},
                                                    {"HEAD", "HEAD"s},
                                                    {"POST", "POST"s},
                                                    {"PUT", "PUT"s},
                                                    {"DELETE", "DELETE"s},
                                                    {"CONNECT", "CONNECT"s},
                                                    {"OPTIONS", "OPTIONS"s},
                                                    {"TRACE", "TRACE"s},
                                                    {"PATCH", "PATCH"s}},
                                                   "");
    return match;
}

std::optional<std::uint32_t> decode_duration(const Value& value)
{
    const auto text = value.optional_string(duration);
    return text ? std::optional(duration_ms(*text)) : std::nullopt;
}

void decode_timeouts(const Value& value, model::HttpRouteRule& rule)
{
    Fields f(value);
    rule.request_timeout_ms = decode_duration(f["request"]);
    const Value backend = f["backendRequest"];
    rule.backend_request_timeout_ms = decode_duration(backend);
    if (rule.request_timeout_ms.value_or(0) != 0 &&
        rule.backend_request_timeout_ms.value_or(0) > *rule.request_timeout_ms)
        backend.refuse("must not be longer than timeouts.request");
}

model::HttpRouteRule decode_http_rule(const Value& value)
{
    Fields f(value);
    model::HttpRouteRule rule;
    rule.name = f["name"].string(dns_subdomain);
    for (const Value& item : f["matches"].list(0, 64))
        rule.matches.push_back(decode_match(item));
    if (rule.matches.empty())
        rule.matches.emplace_back();
    rule.filters = decode_filters(f["filters"], FilterSet::Http);
    rule.backend_refs = decode_backend_refs(f["backendRefs"], 0, FilterSet::Http);
    if (rule.filters.redirect && !rule.backend_refs.empty())
        f["filters"].refuse("a rule with a RequestRedirect filter takes no backendRefs");
    decode_timeouts(f["timeouts"], rule);
    f.not_acted_on({"retry", "sessionPersistence"});
    return rule;
}

}  // namespace

AnyObject decode_http_route(Fields& root, model::ObjectMeta meta)
{
    model::HttpRoute object;
    object.meta = std::move(meta);
    Fields spec(root["spec"]);
    object.parent_refs = decode_parent_refs(spec["parentRefs"]);
    object.hostnames = decode_hostnames(spec["hostnames"], 0, 16);
    object.rules = decode_rules(spec["rules"], decode_http_rule);
    if (object.rules.empty())
        object.rules.push_back({.name = {},
                                .matches = {model::HttpMatch{}},
                                .filters = {},
                                .backend_refs = {},
                                .request_timeout_ms = {},
                                .backend_request_timeout_ms = {}});
    spec.not_acted_on({"useDefaultGateways"});
    return object;
}

}  // namespace sluice::source
