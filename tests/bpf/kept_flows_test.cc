// SPDX-License-Identifier: Apache-2.0
// What becomes of the flows that are there, and of their reply tuples, when backends and listeners change.
#include <netinet/in.h>

#include <set>

#include "tests/bpf/applier_rig.h"

namespace sluice::apply {
namespace {

class KeptFlows : public ApplierOnRealMaps {
protected:
    [[nodiscard]] const maps::Tables& tables() const { return dataplane_->tables(); }
    [[nodiscard]] static plan::Plan tcp_plan(const std::vector<const char*>& endpoints)
    {
        return plan_of(endpoints, 53, plan::Protocol::Tcp);
    }
    [[nodiscard]] sl_listener listener() const
    {
        const auto found = tables().listeners.get(to_abi({{*IpAddress::parse("203.0.113.1"), 53}, IPPROTO_TCP}));
        EXPECT_TRUE(found && *found);
        return found && *found ? **found : sl_listener{};
    }
    [[nodiscard]] std::size_t leases() const { return tables().replies.entries().value().size(); }

    struct Pair {
        sl_flow_key key;
        sl_flow flow;
        sl_reply_key lease;
    };
    // A TCP connection as the programs would have made it, by the only backend of the table.
    [[nodiscard]] Pair connect(std::uint16_t client_port, std::uint32_t listener_id) const
    {
        const auto [id, backend] = held().at(0);
        Pair made{};
        to_words(*IpAddress::parse("192.0.2.2"), made.key.client_be);
        made.key.client_port_be = htons(client_port);
        made.key.proto = IPPROTO_TCP;
        to_words(*IpAddress::parse("192.0.2.1"), made.flow.source_be);
        made.flow.source_port_be = htons(client_port);
        made.flow.listener_id = listener_id;
        made.flow.backend_id = id;
        made.flow.backend_generation = backend.generation;
        std::ranges::copy(backend.addr_be, made.lease.backend_be);
        std::ranges::copy(made.flow.source_be, made.lease.source_be);
        made.lease.backend_port_be = backend.port_be;
        made.lease.source_port_be = made.flow.source_port_be;
        made.lease.proto = IPPROTO_TCP;
        EXPECT_TRUE(tables().flows.set(made.key, made.flow));
        EXPECT_TRUE(tables().replies.set(made.lease, made.key));
        return made;
    }
    [[nodiscard]] bool is_there(const Pair& pair) const { return tables().flows.get(pair.key).value().has_value(); }
    [[nodiscard]] bool is_leased(const Pair& pair) const
    {
        return tables().replies.get(pair.lease).value().has_value();
    }
};

TEST_F(KeptFlows, ATcpEndpointThatReturnsKeepsItsConnections)
{
    Applier applier = make_applier();
    (void)apply(applier, tcp_plan({"198.51.100.1", "198.51.100.2"}));
    const Held before = held();
    (void)apply(applier, tcp_plan({"198.51.100.1"}));
    (void)apply(applier, tcp_plan({"198.51.100.1", "198.51.100.2"}));
    for (const auto& [id, backend] : before)
        EXPECT_EQ((**tables().backends.get(id)).generation, backend.generation);
}

// Its pod may have become another listener's meanwhile.
TEST_F(KeptFlows, AUdpEndpointThatReturnsIsAnotherToTheFlowsThatItHad)
{
    std::set<std::uint32_t> generations{0};
    std::set<std::uint32_t> of_the_other;
    for (int i = 0; i < 3; ++i) {
        Applier applier = make_applier();
        (void)apply(applier, plan_of({"198.51.100.1", "198.51.100.2"}));
        EXPECT_TRUE(generations.insert(backend("198.51.100.2").generation).second) << i;
        of_the_other.insert(backend("198.51.100.1").generation);
        (void)apply(applier, plan_of({"198.51.100.1"}));
    }
    EXPECT_EQ(of_the_other.size(), 1U);
}

TEST_F(KeptFlows, AListenerThatTheProxyRelaysNowKeepsTheConnectionsThatTheKernelForwards)
{
    ASSERT_EQ(std::system("ip link set lo up"), 0);
    const plan::Plan forwarded = tcp_plan({"198.51.100.1"});
    const plan::Plan relayed = tcp_plan({"198.51.100.1", "127.0.0.1"});
    Applier applier = make_applier();
    const auto ids = apply(applier, forwarded).ids;
    ASSERT_EQ(ids.size(), 1U);
    const Pair connection = connect(10'000, ids.front());

    const L4ListenerState state = apply(applier, relayed);
    EXPECT_FALSE(state.in_kernel);
    EXPECT_NE(state.relayed, "");
    EXPECT_EQ(listener().served_by, SL_SERVED_BY_PROXY);
    EXPECT_EQ(listener().id, ids.front()) << "by which the programs know that there may be some";
    EXPECT_TRUE(is_there(connection));
    EXPECT_EQ(backends(), (Backends{{1, true}}));
    EXPECT_EQ(*applier.collect_garbage(), 1U);

    const auto written = generation();
    Applier next = make_applier();
    (void)apply(next, relayed);
    EXPECT_EQ(generation(), written) << "a new agent finds it as it is to be";
    EXPECT_EQ(apply(next, forwarded).ids, ids);
    EXPECT_EQ(listener().served_by, SL_SERVED_BY_KERNEL);
    EXPECT_EQ(backends(), (Backends{{1, false}}));
    EXPECT_TRUE(is_there(connection));
    EXPECT_TRUE(is_leased(connection));
}

TEST_F(KeptFlows, WhenARelayedListenerGoesItsConnectionsEnd)
{
    ASSERT_EQ(std::system("ip link set lo up"), 0);
    Applier applier = make_applier();
    const auto ids = apply(applier, tcp_plan({"198.51.100.1"})).ids;
    ASSERT_EQ(ids.size(), 1U);
    const Pair connection = connect(10'000, ids.front());
    (void)apply(applier, tcp_plan({"198.51.100.1", "127.0.0.1"}));
    ASSERT_TRUE(is_there(connection));
    ASSERT_TRUE(applier.apply(plan::Plan{}, {}));
    EXPECT_FALSE(is_there(connection));
    EXPECT_FALSE(is_leased(connection));
    EXPECT_EQ(tables().rings.ids().value().size(), 0U);
    EXPECT_EQ(*applier.collect_garbage(), 0U);
}

TEST_F(KeptFlows, ALeaseThatIsOfNoFlowIsFreedAtTheSecondLook)
{
    Applier applier = make_applier();
    const auto ids = apply(applier, tcp_plan({"198.51.100.1"})).ids;
    ASSERT_EQ(ids.size(), 1U);
    const Pair stays = connect(10'000, ids.front());
    const Pair gone = connect(10'001, ids.front());
    Pair moved = connect(10'002, ids.front());
    const Pair comes = connect(10'003, ids.front());
    const Pair taken = connect(10'004, ids.front());
    moved.flow.source_port_be = htons(20'000);
    ASSERT_TRUE(tables().flows.set(moved.key, moved.flow));
    for (const Pair* pair : {&gone, &comes, &taken})
        ASSERT_TRUE(tables().flows.erase(pair->key));
    ASSERT_TRUE(applier.collect_garbage());
    EXPECT_EQ(leases(), 5U);

    ASSERT_TRUE(tables().flows.set(comes.key, comes.flow));
    sl_flow_key other = taken.key;
    other.client_port_be = htons(1);
    ASSERT_TRUE(tables().flows.set(other, taken.flow));
    ASSERT_TRUE(tables().replies.set(taken.lease, other));
    ASSERT_TRUE(applier.collect_garbage());
    ASSERT_TRUE(applier.collect_garbage());
    EXPECT_FALSE(is_leased(gone));
    EXPECT_FALSE(is_leased(moved)) << "its flow has another source";
    EXPECT_TRUE(is_leased(stays));
    EXPECT_TRUE(is_leased(comes)) << "a program was about to make its flow";
    EXPECT_TRUE(is_leased(taken)) << "it is another flow's by now";
}

TEST_F(KeptFlows, ManyLeasesAreLookedAtPieceByPiece)
{
    constexpr std::size_t kLeases = 40'000;
    Applier applier = make_applier();
    sl_reply_key lease{};
    for (std::uint32_t i = 0; i < kLeases; ++i) {
        lease.source_be[3] = i;
        ASSERT_TRUE(tables().replies.set(lease, {}));
    }
    ASSERT_TRUE(applier.collect_garbage());
    EXPECT_EQ(leases(), kLeases);
    ASSERT_TRUE(applier.collect_garbage());
    EXPECT_LT(leases(), kLeases);
    EXPECT_GT(leases(), 0U) << "a sweep has its bounds";
    for (int i = 0; i < 8 && leases() != 0; ++i)
        ASSERT_TRUE(applier.collect_garbage());
    EXPECT_EQ(leases(), 0U);
}

}  // namespace
}  // namespace sluice::apply
