// SPDX-License-Identifier: Apache-2.0
#include "agent/apply/ring.h"

#include <algorithm>
#include <numeric>

#include "base/mix.h"

namespace sluice::apply {
namespace {

// How many slots each member gets: its quota rounded down, and the rest to the largest remainders.
std::vector<std::uint32_t> slot_counts(const std::vector<RingMember>& members, std::uint64_t total)
{
    std::vector<std::uint32_t> counts(members.size());
    std::vector<std::pair<std::uint64_t, std::size_t>> remainders;
    std::uint32_t given = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
        const auto quota = static_cast<unsigned __int128>(members[i].weight) * SL_RING_SLOTS;
        counts[i] = static_cast<std::uint32_t>(quota / total);
        given += counts[i];
        remainders.emplace_back(static_cast<std::uint64_t>(quota % total), i);
    }
    std::ranges::sort(remainders, [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    for (std::size_t i = 0; given < SL_RING_SLOTS; ++i, ++given)
        ++counts[remainders[i].second];
    return counts;
}

}  // namespace

std::uint64_t backend_identity(const std::array<std::uint8_t, 16>& address, std::uint16_t port, std::uint8_t proto)
{
    std::uint64_t hash = mix(static_cast<std::uint64_t>(port) << 8 | proto);
    for (std::size_t half = 0; half < 2; ++half) {
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < 8; ++i)
            word = word << 8 | address[half * 8 + i];
        hash = mix(hash ^ word);
    }
    return hash == 0 ? 1 : hash;
}

RingSlots make_ring(std::vector<RingMember> members)
{
    RingSlots slots;
    slots.fill(SL_BACKEND_NONE);
    std::erase_if(members, [](const RingMember& member) { return member.weight == 0; });
    std::ranges::sort(members, {}, &RingMember::identity);
    const std::uint64_t total = std::accumulate(members.begin(), members.end(), std::uint64_t{0},
                                                [](std::uint64_t sum, const RingMember& m) { return sum + m.weight; });
    if (total == 0)
        return slots;

    // Members take turns; each takes the next free slot of its own permutation (offset + n * skip, SL_RING_SLOTS being
    // prime), as often as its share asks. Who has the larger share takes slots more often, so that turns stay even.
    struct Cursor {
        std::uint64_t offset, skip, next = 0;
    };
    std::vector<Cursor> cursors;
    for (const RingMember& member : members)
        cursors.push_back({mix(member.identity) % SL_RING_SLOTS, mix(~member.identity) % (SL_RING_SLOTS - 1) + 1});
    const auto counts = slot_counts(members, total);
    const std::uint64_t largest = *std::ranges::max_element(counts);
    std::vector<bool> taken(SL_RING_SLOTS);
    std::vector<std::uint64_t> credit(members.size());
    std::vector<std::uint32_t> left = counts;
    for (std::uint32_t filled = 0; filled < SL_RING_SLOTS;) {
        for (std::size_t i = 0; i < members.size(); ++i) {
            credit[i] += counts[i];
            if (left[i] == 0 || credit[i] < largest)
                continue;
            credit[i] -= largest;
            std::size_t slot = 0;
            do {
                slot = (cursors[i].offset + cursors[i].next++ * cursors[i].skip) % SL_RING_SLOTS;
            } while (taken[slot]);
            taken[slot] = true;
            slots[slot] = members[i].backend_id;
            --left[i];
            ++filled;
        }
    }
    return slots;
}

}  // namespace sluice::apply
