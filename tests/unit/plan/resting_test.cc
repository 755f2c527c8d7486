// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/resting.h"

#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

Plan plan_with(std::initializer_list<const char*> addresses)
{
    Plan plan;
    for (const char* address : addresses)
        plan.pool_addresses.push_back({.address = ip(address), .gateway = "default/gw", .owner = "", .interfaces = {}});
    return plan;
}

TEST(RestingAddresses, AnAddressThatIsGivenUpRestsForAMinute)
{
    RestingAddresses resting;
    resting.observe(plan_with({"10.0.0.5", "10.0.0.6"}), 1'000);
    EXPECT_TRUE(resting.at(1'000).empty());
    EXPECT_FALSE(resting.next_end_ms());
    resting.observe(plan_with({"10.0.0.6"}), 2'000);
    resting.observe(plan_with({"10.0.0.6"}), 3'000);
    EXPECT_EQ(resting.at(61'999), std::vector<IpAddress>{ip("10.0.0.5")});
    EXPECT_EQ(resting.next_end_ms(), 62'000U);
    EXPECT_TRUE(resting.at(62'000).empty());
    EXPECT_FALSE(resting.next_end_ms());
}

TEST(RestingAddresses, OneThatIsUsedAgainRestsAnewWhenItIsGivenUp)
{
    RestingAddresses resting;
    resting.observe(plan_with({"10.0.0.5"}), 0);
    resting.observe(plan_with({}), 1'000);
    resting.observe(plan_with({"10.0.0.5"}), 2'000);
    EXPECT_TRUE(resting.at(2'000).empty());
    resting.observe(plan_with({}), 50'000);
    EXPECT_EQ(resting.at(61'000), std::vector<IpAddress>{ip("10.0.0.5")});
    EXPECT_EQ(resting.next_end_ms(), 110'000U);
}

TEST(RestingAddresses, AGatewayThatGoesAndComesUnderItsNameGetsAnother)
{
    World world;
    world.objects.gateway_classes.edit(0).parameters_ref =
        model::ParametersReference{"sluice.dev", "NodeGatewayConfig", "pools", {}};
    world.facts.cluster = world.facts.is_leader = true;
    world.facts.name = "a";
    world.facts.members = {"a"};
    world.add(config({"10.0.0.5-10.0.0.6"})).add(gateway("gw", {listener("l", "TCP", 80)}));
    RestingAddresses resting;
    std::uint64_t now_ms = 0;
    const auto step = [&](std::uint64_t ms) {
        now_ms += ms;
        world.facts.resting = resting.at(now_ms);
        const Plan plan = world.plan();
        resting.observe(plan, now_ms);
        world.facts.assigned = plan.pool_addresses;
        return plan.pool_addresses.empty() ? IpAddress{} : plan.pool_addresses[0].address;
    };
    EXPECT_EQ(step(0), ip("10.0.0.5"));
    const auto gateways = std::exchange(world.objects.gateways, {});
    EXPECT_EQ(step(100), IpAddress{});
    world.objects.gateways = gateways;
    EXPECT_EQ(step(100), ip("10.0.0.6"));
    world.objects.gateways = {};
    EXPECT_EQ(step(100), IpAddress{});
    world.objects.gateways = gateways;
    EXPECT_EQ(step(100), IpAddress{}) << "both rest";
    EXPECT_EQ(step(kRestMs), ip("10.0.0.5"));
}

}  // namespace
}  // namespace sluice::plan::test
