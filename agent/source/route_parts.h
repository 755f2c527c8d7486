// SPDX-License-Identifier: Apache-2.0
// What the decoders of several kinds of route share: parents, hostnames, filters, backends and lists of rules.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/model/route.h"
#include "agent/source/reader.h"
#include "agent/source/text.h"

namespace sluice::source {

// The filters that a kind of route may have.
enum class FilterSet { None, Http, Grpc };

[[nodiscard]] std::vector<model::ParentReference> decode_parent_refs(const Value& value);
[[nodiscard]] std::vector<std::string> decode_hostnames(const Value& value, std::size_t min, std::size_t max);
// Not those that are not valid.
[[nodiscard]] model::Filters decode_filters(const Value& value, FilterSet set);
[[nodiscard]] std::vector<model::BackendRef> decode_backend_refs(const Value& value, std::size_t min, FilterSet set);
[[nodiscard]] std::vector<model::ValueMatch> decode_value_matches(const Value& value, Check value_check);

// At most 16 rules of at most 128 matches in all, their names unique.
template <class Rule> [[nodiscard]] std::vector<Rule> decode_rules(const Value& value, Rule (*decode)(const Value&))
{
    constexpr std::size_t kMatchesPerRouteMax = 128;
    std::vector<Rule> rules;
    std::size_t matches = 0;
    std::set<std::string> names;
    for (const Value& item : value.list(0, 16)) {
        const Rule& rule = rules.emplace_back(decode(item));
        matches += rule.matches.size();
        if (!rule.name.empty() && !names.insert(rule.name).second)
            item.refuse("a second rule named " + rule.name + "; names are unique within a route");
    }
    if (matches > kMatchesPerRouteMax)
        value.refuse("has " + std::to_string(matches) + " matches in all; accepted are " +
                     std::to_string(kMatchesPerRouteMax));
    return rules;
}

}  // namespace sluice::source
