// SPDX-License-Identifier: Apache-2.0
// Decoder of GRPCRoute, with the rules that its CRD states.
#include "agent/source/kinds.h"
#include "agent/source/route_parts.h"
#include "agent/source/validate.h"

namespace sluice::source {
namespace {

using model::ValueMatchType;

Fault expression(std::string_view text)
{
    return text.size() > 1024 ? Fault("must have at most 1024 characters") : std::nullopt;
}

// The API reads "" as if the field were not there.
std::string text_or_nothing(const Value& value, Check check)
{
    const auto text = value.optional_string();
    return text && !text->empty() ? value.string(check) : "";
}

model::GrpcMethodMatch decode_method(const Value& value)
{
    Fields f(value);
    model::GrpcMethodMatch method;
    method.type = f["type"].one_of<ValueMatchType>(
        {{"Exact", ValueMatchType::Exact}, {"RegularExpression", ValueMatchType::RegularExpression}},
        ValueMatchType::Exact);
    const bool exact = method.type == ValueMatchType::Exact;
    const Value service = f["service"];
    const Value name = f["method"];
    method.service = text_or_nothing(service, exact ? grpc_service : expression);
    method.method = text_or_nothing(name, exact ? grpc_method : expression);
    if (value.is_map() && !service.present() && !name.present())
        value.refuse("needs a service, a method or both");
    return method;
}

model::GrpcMatch decode_match(const Value& value)
{
    Fields f(value);
    return {decode_method(f["method"]), decode_value_matches(f["headers"], header_value)};
}

model::GrpcRouteRule decode_rule(const Value& value)
{
    Fields f(value);
    model::GrpcRouteRule rule;
    rule.name = f["name"].string(dns_subdomain);
    for (const Value& item : f["matches"].list(0, 64))
        rule.matches.push_back(decode_match(item));
    if (rule.matches.empty())
        rule.matches.emplace_back();
    rule.filters = decode_filters(f["filters"], FilterSet::Grpc);
    rule.backend_refs = decode_backend_refs(f["backendRefs"], 0, FilterSet::Grpc);
    f.not_acted_on({"sessionPersistence"});
    return rule;
}

}  // namespace

AnyObject decode_grpc_route(Fields& root, model::ObjectMeta meta)
{
    model::GrpcRoute object;
    object.meta = std::move(meta);
    Fields spec(root["spec"]);
    object.parent_refs = decode_parent_refs(spec["parentRefs"]);
    object.hostnames = decode_hostnames(spec["hostnames"], 0, 16);
    object.rules = decode_rules(spec["rules"], decode_rule);
    if (object.rules.empty())
        object.rules.push_back({.name = {}, .matches = {model::GrpcMatch{}}, .filters = {}, .backend_refs = {}});
    spec.not_acted_on({"useDefaultGateways"});
    return object;
}

}  // namespace sluice::source
