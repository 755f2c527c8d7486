// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/precedence.h"

#include <tuple>

#include "agent/plan/hostname.h"

namespace sluice::plan {
namespace {

int path_class(model::PathMatchType type)
{
    switch (type) {
    case model::PathMatchType::Exact: return 0;
    case model::PathMatchType::RegularExpression: return 1;
    case model::PathMatchType::PathPrefix: return 2;
    }
    return 2;
}

// Smaller comes first: what should be large is subtracted from zero.
std::int64_t many_first(std::size_t size) { return -static_cast<std::int64_t>(size); }

auto method_rank(const Candidate& candidate)
{
    return std::tuple(many_first(candidate.method->service.size()), many_first(candidate.method->method.size()),
                      many_first((*candidate.match)->headers.size()));
}

auto match_rank(const model::HttpMatch& match)
{
    // The API counts the characters of prefixes alone: of exact paths no two match one request.
    const std::size_t length = match.path.type == model::PathMatchType::Exact ? 0 : match.path.value.size();
    return std::tuple(path_class(match.path.type), many_first(length), match.method.empty() ? 1 : 0,
                      many_first(match.headers.size()), many_first(match.query_params.size()));
}

}  // namespace

bool has_precedence(const Candidate& a, const Candidate& b)
{
    if (a.route_hostname != b.route_hostname)
        return is_more_specific(a.route_hostname, b.route_hostname);
    if ((a.method == nullptr) != (b.method == nullptr))
        return a.method != nullptr;
    if (a.method != nullptr) {
        if (const auto rank_a = method_rank(a), rank_b = method_rank(b); rank_a != rank_b)
            return rank_a < rank_b;
    } else if (const auto rank_a = match_rank(**a.match), rank_b = match_rank(**b.match); rank_a != rank_b) {
        return rank_a < rank_b;
    }
    return std::tie(a.rule, a.match_index) < std::tie(b.rule, b.match_index);
}

}  // namespace sluice::plan
