// SPDX-License-Identifier: Apache-2.0
// Rendezvous: the same owner on every node, even shares, and no address moves that need not.
#include "agent/plan/ownership.h"

#include <map>

#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

std::vector<IpAddress> addresses(int count, bool v4 = true)
{
    std::vector<IpAddress> result;
    for (int i = 0; i < count; ++i)
        result.push_back(ip((v4 ? "10.0.0." + std::to_string(i) : "2001:db8::" + std::to_string(i)).c_str()));
    return result;
}

const std::vector<std::string> kFour = {"node-1", "node-2", "node-3", "node-4"};

TEST(Ownership, TheOwnersOfAddressesAreFixedForEver)
{
    // Nodes of two versions must agree while an update rolls on.
    EXPECT_EQ(owner_of(ip("10.0.0.1"), kFour), "node-4");
    EXPECT_EQ(owner_of(ip("10.0.0.2"), kFour), "node-1");
    EXPECT_EQ(owner_of(ip("2001:db8::1"), kFour), "node-3");
}

TEST(Ownership, TheOrderOfTheMembersDoesNotMatter)
{
    const std::vector<std::string> turned(kFour.rbegin(), kFour.rend());
    for (const IpAddress& address : addresses(64))
        EXPECT_EQ(owner_of(address, kFour), owner_of(address, turned)) << address.to_string();
}

TEST(Ownership, SharesAreEven)
{
    for (const bool v4 : {true, false}) {
        std::map<std::string_view, int> shares;
        for (const IpAddress& address : addresses(64, v4))
            ++shares[owner_of(address, kFour)];
        for (const std::string& member : kFour) {
            EXPECT_GE(shares[member], 8) << member << " " << v4;
            EXPECT_LE(shares[member], 24) << member << " " << v4;
        }
    }
}

TEST(Ownership, OnlyTheAddressesOfAMemberThatLeavesMove)
{
    for (const std::string& leaver : kFour) {
        std::vector<std::string> left = kFour;
        std::erase(left, leaver);
        std::map<std::string_view, int> heirs;
        for (const IpAddress& address : addresses(64)) {
            const std::string_view before = owner_of(address, kFour);
            const std::string_view after = owner_of(address, left);
            if (before != leaver)
                EXPECT_EQ(after, before) << address.to_string();
            else
                ++heirs[after];
        }
        EXPECT_GE(heirs.size(), 2U) << "all of " << leaver << " went to one";
    }
}

TEST(Ownership, ALoneMemberOwnsAllAndNobodyOwnsWithoutMembers)
{
    EXPECT_EQ(owner_of(ip("10.0.0.1"), {"only"}), "only");
    EXPECT_EQ(owner_of(ip("10.0.0.1"), {}), "");
}

TEST(Ownership, MembersAreEligibleByTheLabelsOfTheirNodes)
{
    World world;
    world.add(node("a", {}, {{"edge", "yes"}, {"zone", "1"}})).add(node("b", {}, {{"edge", "no"}}));
    world.facts.members = {"c", "b", "a"};
    struct Row {
        model::Labels selector;
        std::vector<std::string> eligible;
    };
    for (const Row& row : {Row{{}, {"a", "b", "c"}}, Row{{{"edge", "yes"}}, {"a"}}, Row{{{"edge", "no"}}, {"b"}},
                           Row{{{"edge", "yes"}, {"zone", "2"}}, {}}}) {
        model::NodeGatewayConfig one;
        one.node_selector = row.selector;
        EXPECT_EQ(eligible_members(one, world.objects, world.facts), row.eligible);
    }
}

}  // namespace
}  // namespace sluice::plan::test
