// SPDX-License-Identifier: Apache-2.0
#include "agent/apply/ring.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::apply {
namespace {

RingMember member(std::uint8_t host, std::uint64_t weight)
{
    return {backend_identity({192, 0, 2, host}, 80, 6), weight, host};
}

long slots_of(const RingSlots& ring, std::uint32_t id) { return std::ranges::count(ring, id); }

TEST(Ring, SharesAreExactToOneSlot)
{
    const RingSlots ring = make_ring({member(1, 90), member(2, 10)});
    EXPECT_NEAR(static_cast<double>(slots_of(ring, 1)), SL_RING_SLOTS * 0.9, 1);
    EXPECT_NEAR(static_cast<double>(slots_of(ring, 2)), SL_RING_SLOTS * 0.1, 1);
}

TEST(Ring, TheRefusedShareIsAMember)
{
    const RingSlots ring = make_ring({member(1, 3), {0, 1, SL_BACKEND_NONE}});
    EXPECT_NEAR(static_cast<double>(slots_of(ring, SL_BACKEND_NONE)), SL_RING_SLOTS * 0.25, 1);
}

TEST(Ring, WithoutWeightEverySlotIsRefused)
{
    EXPECT_EQ(slots_of(make_ring({}), SL_BACKEND_NONE), SL_RING_SLOTS);
    EXPECT_EQ(slots_of(make_ring({member(1, 0)}), SL_BACKEND_NONE), SL_RING_SLOTS);
}

TEST(Ring, TheOrderOfMembersDoesNotMatter)
{
    EXPECT_EQ(make_ring({member(1, 5), member(2, 7), member(3, 1)}),
              make_ring({member(3, 1), member(1, 5), member(2, 7)}));
}

TEST(Ring, RemovingOneOfTenMovesFewSlotsOfTheOthers)
{
    std::vector<RingMember> members;
    for (std::uint8_t host = 1; host <= 10; ++host)
        members.push_back(member(host, 1));
    const RingSlots before = make_ring(members);
    members.pop_back();
    const RingSlots after = make_ring(members);
    long moved = 0;
    for (std::size_t i = 0; i < before.size(); ++i)
        moved += before[i] != 10 && before[i] != after[i] ? 1 : 0;
    EXPECT_LT(moved, SL_RING_SLOTS * 6 / 100);
}

}  // namespace
}  // namespace sluice::apply
