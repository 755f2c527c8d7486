// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/ownership.h"

#include <algorithm>
#include <cstdint>

#include "base/mix.h"

namespace sluice::plan {
namespace {

// FNV-1a over the member's name, then mixed with the address: what differs in one bit differs in half of them.
std::uint64_t score_of(const IpAddress& address, std::string_view member)
{
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : member)
        hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3U;
    hash = mix(hash);
    for (std::size_t half = 0; half < 2; ++half) {
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < 8; ++i)
            word = word << 8 | address.bytes()[half * 8 + i];
        hash = mix(hash ^ word);
    }
    return hash;
}

}  // namespace

std::vector<std::string> eligible_members(const model::NodeGatewayConfig& config, const model::Objects& objects,
                                          const NodeFacts& facts)
{
    const model::LabelSelector selector{.match_labels = config.node_selector, .match_expressions = {}};
    std::vector<std::string> members = facts.members;
    std::erase_if(members, [&](const std::string& name) {
        const auto name_of = [](const model::Node& one) -> const auto& { return one.meta.name; };
        const auto node = std::ranges::lower_bound(objects.nodes, name, {}, name_of);
        const bool is_known = node != objects.nodes.end() && node->meta.name == name;
        return !selector.matches(is_known ? node->meta.labels : model::Labels{});
    });
    std::ranges::sort(members);
    return members;
}

std::string_view owner_of(const IpAddress& address, const std::vector<std::string>& members)
{
    std::string_view owner;
    std::uint64_t highest = 0;
    for (const std::string& member : members) {
        const std::uint64_t score = score_of(address, member);
        // Two equal scores are as good as impossible, but must not depend on the order of the members.
        if (owner.empty() || score > highest || (score == highest && member < owner)) {
            owner = member;
            highest = score;
        }
    }
    return owner;
}

}  // namespace sluice::plan
