// SPDX-License-Identifier: Apache-2.0
#include "agent/source/route_parts.h"

#include <algorithm>
#include <array>
#include <set>

#include "agent/source/validate.h"

namespace sluice::source {
namespace {

using model::ValueMatchType;

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

model::BackendRef decode_backend_ref(const Value& value, FilterSet set)
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
    if (set != FilterSet::None)
        ref.filters = decode_filters(f["filters"], set);
    return ref;
}

}  // namespace

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

std::vector<std::string> decode_hostnames(const Value& value, std::size_t min, std::size_t max)
{
    std::vector<std::string> names;
    for (const Value& item : value.list(min, max))
        names.push_back(item.required().string(hostname));
    return names;
}

std::vector<model::BackendRef> decode_backend_refs(const Value& value, std::size_t min, FilterSet set)
{
    std::vector<model::BackendRef> refs;
    for (const Value& item : value.list(min, 16))
        refs.push_back(decode_backend_ref(item, set));
    return refs;
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

}  // namespace sluice::source
