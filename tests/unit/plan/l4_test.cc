// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

World l4_world()
{
    World world;
    world.add(gateway("gw", {listener("tcp", "TCP", 9000), listener("udp", "UDP", 9000)}))
        .add(service("web"))
        .add(slice("web", {endpoint("10.0.0.1")}));
    return world;
}

TEST(L4, ListenersAreServedWithTheirRouteAndBackends)
{
    const Plan plan = l4_world()
                          .add(l4_route<model::TcpRoute>("t"))
                          .add(l4_route<model::UdpRoute>("u", {parent("gw")}, {backend("web", 53)}))
                          .plan();
    ASSERT_EQ(plan.l4.size(), 2U);
    EXPECT_EQ(plan.l4[0].name, "default/gw/tcp");
    EXPECT_EQ(plan.l4[0].protocol, Protocol::Tcp);
    EXPECT_EQ(plan.l4[0].port, 9000);
    EXPECT_TRUE(plan.l4[0].addresses.empty());
    EXPECT_EQ(plan.l4[0].route, "default/t");
    ASSERT_EQ(plan.l4[0].backends.size(), 1U);
    EXPECT_EQ(plan.l4[0].backends[0].name, "default/web:80");
    EXPECT_EQ(plan.l4[0].backends[0].endpoints.at(0).to_string(), "10.0.0.1:8080");
    EXPECT_EQ(plan.l4[1].protocol, Protocol::Udp);
    EXPECT_EQ(plan.l4[1].route, "default/u");
    EXPECT_EQ(plan.l4[1].backends.at(0).endpoints.at(0).to_string(), "10.0.0.1:5353");
}

TEST(L4, AListenerWithoutRouteIsServedToRefuse)
{
    const Plan plan = l4_world().plan();
    ASSERT_EQ(plan.l4.size(), 2U);
    EXPECT_EQ(plan.l4[0].route, "");
    EXPECT_TRUE(plan.l4[0].backends.empty());
    EXPECT_EQ(listener_of(plan, "gw", "tcp").attached_routes, 0U);
}

TEST(L4, AllRoutesAttachAndOnlyTheOldestIsServed)
{
    struct Row {
        const char* claim;
        const char* created_a;
        const char* created_b;
        const char* served;
    };
    const Row rows[] = {
        {"older by time", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "default/b"},
        {"then by name", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "default/a"},
        {"without times by name", "", "", "default/a"},
    };
    for (const Row& row : rows) {
        const Plan plan = l4_world()
                              .add(l4_route<model::TcpRoute>("a", {parent("gw")}, {backend("web")}, row.created_a))
                              .add(l4_route<model::TcpRoute>("b", {parent("gw")}, {backend("web")}, row.created_b))
                              .plan();
        EXPECT_EQ(plan.l4.at(0).route, row.served) << row.claim;
        EXPECT_EQ(listener_of(plan, "gw", "tcp").attached_routes, 2U) << row.claim;
        EXPECT_EQ(route_outcome(plan, "TCPRoute", "a", "Accepted"), "True/Accepted") << row.claim;
        EXPECT_EQ(route_outcome(plan, "TCPRoute", "b", "Accepted"), "True/Accepted") << row.claim;
    }
}

TEST(L4, WeightsAreKeptZeroIsLeftOutAndInvalidOnesKeepTheirShare)
{
    const Plan plan =
        l4_world()
            .add(l4_route<model::TcpRoute>("t", {parent("gw")},
                                           {backend("web", 80, 90), backend("web", 80, 0), backend("missing", 80, 10)}))
            .plan();
    const std::vector<Backend>& backends = plan.l4.at(0).backends;
    ASSERT_EQ(backends.size(), 2U);
    EXPECT_EQ(backends[0].weight, 90U);
    EXPECT_TRUE(backends[0].valid);
    EXPECT_EQ(backends[1].weight, 10U);
    EXPECT_FALSE(backends[1].valid);
    EXPECT_EQ(backends[1].invalid_reason, "BackendNotFound");
    EXPECT_EQ(route_outcome(plan, "TCPRoute", "t", "ResolvedRefs"), "False/BackendNotFound");
}

TEST(L4, ARouteOnSeveralListenersIsServedOnEach)
{
    World world;
    world.add(gateway("gw", {listener("a", "TCP", 1), listener("b", "TCP", 2), listener("c", "TCP", 3)}))
        .add(l4_route<model::TcpRoute>("t", {parent("gw", "a"), parent("gw", nullptr, 3)}));
    const Plan plan = world.plan();
    ASSERT_EQ(plan.l4.size(), 3U);
    EXPECT_EQ(plan.l4[0].route, "default/t");
    EXPECT_EQ(plan.l4[1].route, "");
    EXPECT_EQ(plan.l4[2].route, "default/t");
}

TEST(L4, AUdpRouteNeedsAUdpPortOfTheService)
{
    const Plan plan = l4_world().add(l4_route<model::UdpRoute>("u", {parent("gw")}, {backend("web", 80)})).plan();
    EXPECT_EQ(route_outcome(plan, "UDPRoute", "u", "ResolvedRefs"), "False/BackendNotFound");
    EXPECT_FALSE(plan.l4.at(1).backends.at(0).valid);
}

TEST(L4, ListenersHaveTheGatewaysOwnAddresses)
{
    World world;
    world.add(gateway("gw", {listener("tcp", "TCP", 1)}, {"2001:db8::9", "192.0.2.9"}));
    const Plan plan = world.plan();
    const std::vector<IpAddress> expected = {ip("192.0.2.9"), ip("2001:db8::9")};
    EXPECT_EQ(plan.l4.at(0).addresses, expected);
    EXPECT_EQ(plan.addresses, expected);
}

}  // namespace
}  // namespace sluice::plan::test
