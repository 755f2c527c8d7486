// SPDX-License-Identifier: Apache-2.0
// Decoders of HTTPRoute, TCPRoute and UDPRoute, with the rules that their CRDs state.
#include <algorithm>
#include <array>
#include <set>

#include "agent/source/kinds.h"
#include "agent/source/validate.h"

namespace sluice::source {
namespace {

using model::PathMatchType;
using model::ValueMatchType;

constexpr std::size_t kMatchesPerRouteMax = 128;
constexpr std::int64_t kWeightMax = 1'000'000;

model::ParentReference decode_parent_ref(const Value& value)
{
    Fields f(value);
    model::ParentReference ref;
    ref.group = f["group"].string_or(model::kGatewayGroup, group_name);
    ref.kind = f["kind"].string_or("Gateway", kind_name);
    ref.ns = f["namespace"].optional_string(dns_label);
    ref.name = f["name"].required().string(object_name);
    ref.section_name = f["sectionName"].optional_string(dns_subdomain);
    ref.port = f["port"].port();
    return ref;
}

// Two references to one parent must both say which part of it they mean, and mean different parts.
Fault clash(const model::ParentReference& a, const model::ParentReference& b)
{
    if (a.group != b.group || a.kind != b.kind || a.ns != b.ns || a.name != b.name)
        return std::nullopt;
    if (a.section_name == b.section_name && a.port == b.port)
        return "the same parent is referred to twice";
    if (a.section_name.has_value() != b.section_name.has_value() || a.port.has_value() != b.port.has_value())
        return "with several references to one parent, all of them need a sectionName or all of them a port";
    return std::nullopt;
}

std::vector<model::ParentReference> decode_parent_refs(const Value& value)
{
    std::vector<model::ParentReference> refs;
    for (const Value& item : value.list(0, 32)) {
        model::ParentReference ref = decode_parent_ref(item);
        for (const model::ParentReference& earlier : refs) {
            if (auto fault = clash(earlier, ref)) {
                item.refuse(std::move(*fault));
                break;
            }
        }
        refs.push_back(std::move(ref));
    }
    return refs;
}

enum class FilterUse { Once, Repeated };
struct FilterType {
    std::string_view name;
    std::string_view field;  // that holds its settings
    FilterUse use;
};
constexpr std::array<FilterType, 8> kFilterTypes{{
    {"RequestHeaderModifier", "requestHeaderModifier", FilterUse::Once},
    {"ResponseHeaderModifier", "responseHeaderModifier", FilterUse::Once},
    {"RequestMirror", "requestMirror", FilterUse::Repeated},
    {"RequestRedirect", "requestRedirect", FilterUse::Once},
    {"URLRewrite", "urlRewrite", FilterUse::Once},
    {"ExtensionRef", "extensionRef", FilterUse::Repeated},
    {"CORS", "cors", FilterUse::Once},
    {"ExternalAuth", "externalAuth", FilterUse::Once},
}};

// The filter's type; empty when it is not valid.
std::string decode_filter(const Value& value)
{
    Fields f(value);
    const Value type = f["type"].required();
    const std::string name = type.string();
    const FilterType* found = nullptr;
    std::string accepted;
    for (const FilterType& each : kFilterTypes) {
        accepted += (accepted.empty() ? "" : ", ") + std::string(each.name);
        const Value settings = f[each.field];
        if (each.name == name) {
            found = &each;
            if (!settings.present())
                settings.refuse("required with type " + name + ", but missing");
        } else if (settings.present() && !name.empty()) {
            settings.refuse("does not belong to a filter of type " + printable(name));
        }
    }
    if (found == nullptr && !name.empty())
        type.refuse("not one of the accepted values: " + accepted);
    return found != nullptr ? name : "";
}

std::vector<std::string> decode_filters(const Value& value)
{
    std::vector<std::string> types;
    for (const Value& item : value.list(0, 16)) {
        std::string type = decode_filter(item);
        const bool repeated = std::ranges::find(types, type) != types.end();
        const auto row = std::ranges::find(kFilterTypes, type, &FilterType::name);
        if (repeated && row != kFilterTypes.end() && row->use == FilterUse::Once)
            item.refuse(type + " cannot be repeated in one list of filters");
        if (!type.empty())
            types.push_back(std::move(type));
    }
    const auto has = [&](std::string_view type) { return std::ranges::find(types, type) != types.end(); };
    if (has("RequestRedirect") && has("URLRewrite"))
        value.refuse("RequestRedirect and URLRewrite exclude each other");
    return types;
}

model::BackendRef decode_backend_ref(const Value& value, bool filters)
{
    Fields f(value);
    model::BackendRef ref;
    ref.group = f["group"].string(group_name);
    ref.kind = f["kind"].string_or("Service", kind_name);
    ref.ns = f["namespace"].optional_string(dns_label);
    ref.name = f["name"].required().string(object_name);
    const Value port = f["port"];
    ref.port = port.port();
    if (!port.present() && ref.group.empty() && ref.kind == "Service")
        port.refuse("required for a backend of kind Service, but missing");
    ref.weight = static_cast<std::uint32_t>(f["weight"].integer(0, kWeightMax).value_or(1));
    if (filters)
        ref.filters = decode_filters(f["filters"]);
    return ref;
}

std::vector<model::BackendRef> decode_backend_refs(const Value& value, std::size_t min, bool filters)
{
    std::vector<model::BackendRef> refs;
    for (const Value& item : value.list(min, 16))
        refs.push_back(decode_backend_ref(item, filters));
    return refs;
}

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

std::vector<model::ValueMatch> decode_value_matches(const Value& value, Check value_check)
{
    std::vector<model::ValueMatch> matches;
    std::set<std::string> names;
    for (const Value& item : value.list(0, 16)) {
        Fields f(item);
        model::ValueMatch match;
        match.type = f["type"].one_of<ValueMatchType>(
            {{"Exact", ValueMatchType::Exact}, {"RegularExpression", ValueMatchType::RegularExpression}},
            ValueMatchType::Exact);
        match.name = f["name"].required().string(header_name);
        match.value = f["value"].required().string(value_check);
        if (!match.name.empty() && !names.insert(match.name).second)
            item.refuse("a second match for " + printable(match.name) + "; names are unique within a match");
        matches.push_back(std::move(match));
    }
    return matches;
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
    rule.filters = decode_filters(f["filters"]);
    rule.backend_refs = decode_backend_refs(f["backendRefs"], 0, true);
    if (std::ranges::find(rule.filters, "RequestRedirect") != rule.filters.end() && !rule.backend_refs.empty())
        f["filters"].refuse("a rule with a RequestRedirect filter takes no backendRefs");
    decode_timeouts(f["timeouts"], rule);
    f.not_acted_on({"retry", "sessionPersistence"});
    return rule;
}

template <class Route> AnyObject decode_l4_route(Fields& root, model::ObjectMeta meta)
{
    Route object;
    object.meta = std::move(meta);
    Fields spec(root["spec"].required());
    object.parent_refs = decode_parent_refs(spec["parentRefs"]);
    for (const Value& value : spec["rules"].required().list(1, 1)) {
        Fields rule(value);
        object.rule_name = rule["name"].string(dns_subdomain);
        object.backend_refs = decode_backend_refs(rule["backendRefs"].required(), 1, false);
    }
    spec.not_acted_on({"useDefaultGateways"});
    return object;
}

}  // namespace

AnyObject decode_http_route(Fields& root, model::ObjectMeta meta)
{
    model::HttpRoute object;
    object.meta = std::move(meta);
    Fields spec(root["spec"]);
    object.parent_refs = decode_parent_refs(spec["parentRefs"]);
    for (const Value& value : spec["hostnames"].list(0, 16))
        object.hostnames.push_back(value.required().string(hostname));
    std::size_t matches = 0;
    std::set<std::string> names;
    for (const Value& value : spec["rules"].list(0, 16)) {
        object.rules.push_back(decode_http_rule(value));
        matches += object.rules.back().matches.size();
        const std::string& name = object.rules.back().name;
        if (!name.empty() && !names.insert(name).second)
            value.refuse("a second rule named " + name + "; names are unique within a route");
    }
    if (matches > kMatchesPerRouteMax)
        spec["rules"].refuse("has " + std::to_string(matches) + " matches in all; accepted are " +
                             std::to_string(kMatchesPerRouteMax));
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

AnyObject decode_tcp_route(Fields& root, model::ObjectMeta meta)
{
    return decode_l4_route<model::TcpRoute>(root, std::move(meta));
}

AnyObject decode_udp_route(Fields& root, model::ObjectMeta meta)
{
    return decode_l4_route<model::UdpRoute>(root, std::move(meta));
}

}  // namespace sluice::source
