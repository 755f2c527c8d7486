// SPDX-License-Identifier: Apache-2.0
// Which backend a flow goes to over its life, and when it changes.
#include "tests/bpf/rig.h"

namespace sluice::test {
namespace {

class Flow : public Rig {
protected:
    IpAddress backend_of(const Packet& packet) { return tc(packet).seen().destination; }

    static Packet with_flags(Packet packet, std::uint8_t flags)
    {
        packet.tcp_flags = flags;
        return packet;
    }

    sl_flow only_flow()
    {
        const auto all = tables_.flows.entries().value();
        EXPECT_EQ(all.size(), 1U);
        return all.empty() ? sl_flow{} : all.front().second;
    }

    const Packet tcp_ = request(false, IPPROTO_TCP);
    const Packet udp_ = request(false, IPPROTO_UDP);
    const Family& f_ = family(false);
};

TEST_F(Flow, KeepsItsBackendWhenTheRingChanges)
{
    for (const Packet& packet : {tcp_, udp_}) {
        SetUp();
        serve(false, kRemote);
        const Seen first = tc(packet).seen();
        EXPECT_EQ(first.destination, f_.remote);
        ring(kRemote2);
        const Seen later = tc(with_flags(packet, kAck)).seen();
        EXPECT_EQ(later.destination, f_.remote);
        EXPECT_EQ(later.source_port, first.source_port);
        EXPECT_EQ(counters().connections, 1U);
        Packet other = packet;
        other.source_port++;
        EXPECT_EQ(backend_of(other), f_.remote2);
    }
}

TEST_F(Flow, ARetransmittedSynStays)
{
    serve(false, kRemote);
    EXPECT_EQ(backend_of(tcp_), f_.remote);
    ring(kRemote2);
    EXPECT_EQ(backend_of(tcp_), f_.remote);
    EXPECT_EQ(counters().connections, 1U);
}

TEST_F(Flow, ASynAfterAResetSelectsAnew)
{
    serve(false, kRemote);
    const Seen arrived = tc(tcp_).seen();
    EXPECT_EQ(tc(answer(arrived, kRst)).seen().destination, f_.client);
    ring(kRemote2);
    EXPECT_EQ(backend_of(with_flags(tcp_, kAck)), f_.remote);
    EXPECT_EQ(backend_of(tcp_), f_.remote2);
    EXPECT_EQ(counters().connections, 2U);
    EXPECT_EQ(tables_.replies.entries().value().size(), 1U);
}

TEST_F(Flow, ASynSelectsAnewOnlyAfterBothSidesFinished)
{
    serve(false, kRemote);
    const Seen arrived = tc(tcp_).seen();
    tc(with_flags(tcp_, kFin | kAck));
    ring(kRemote2);
    EXPECT_EQ(backend_of(tcp_), f_.remote);
    tc(answer(arrived, kFin | kAck));
    EXPECT_EQ(backend_of(tcp_), f_.remote2);
}

TEST_F(Flow, ADrainingBackendKeepsTcpAndLosesUdp)
{
    serve(false, kRemote);
    EXPECT_EQ(backend_of(tcp_), f_.remote);
    EXPECT_EQ(backend_of(udp_), f_.remote);
    set_backend(kRemote, f_.remote, SL_BACKEND_DRAINING);
    ring(kRemote2);
    EXPECT_EQ(backend_of(with_flags(tcp_, kAck)), f_.remote);
    EXPECT_EQ(backend_of(udp_), f_.remote2);
}

TEST_F(Flow, ARemovedBackendIsLeftAtOnce)
{
    for (const Packet& packet : {tcp_, udp_}) {
        SetUp();
        serve(false, kRemote);
        EXPECT_EQ(backend_of(packet), f_.remote);
        ASSERT_TRUE(tables_.backends.erase(kRemote));
        ring(kRemote2);
        EXPECT_EQ(backend_of(with_flags(packet, kAck)), f_.remote2);
    }
}

TEST_F(Flow, AnIdThatCameBackIsAnotherBackend)
{
    for (const Packet& packet : {tcp_, udp_}) {
        SetUp();
        serve(false, kRemote);
        EXPECT_EQ(backend_of(packet), f_.remote);
        set_backend(kRemote, ip("10.1.0.99"), 0, 2);
        ring(kRemote2);
        EXPECT_EQ(backend_of(with_flags(packet, kAck)), f_.remote2);
    }
}

TEST_F(Flow, AnIdleUdpFlowSelectsAnew)
{
    serve(false, kRemote);
    EXPECT_EQ(backend_of(udp_), f_.remote);
    ring(kRemote2);
    const auto all = tables_.flows.entries().value();
    ASSERT_EQ(all.size(), 1U);
    sl_flow flow = all.front().second;
    flow.seen_ns -= 59'000'000'000ULL;
    ASSERT_TRUE(tables_.flows.set(all.front().first, flow));
    EXPECT_EQ(backend_of(udp_), f_.remote);
    flow.seen_ns -= 2'000'000'000ULL;
    ASSERT_TRUE(tables_.flows.set(all.front().first, flow));
    EXPECT_EQ(backend_of(udp_), f_.remote2);
}

TEST_F(Flow, ALostReplyEntryIsMadeAgainByTheClientsNextPacket)
{
    serve(false, kRemote);
    const Seen arrived = tc(tcp_).seen();
    const auto replies = tables_.replies.entries().value();
    ASSERT_EQ(replies.size(), 1U);
    ASSERT_TRUE(tables_.replies.erase(replies.front().first));
    EXPECT_EQ(tc(answer(arrived)).verdict, kNext);
    const auto all = tables_.flows.entries().value();
    sl_flow flow = all.front().second;
    flow.seen_ns -= 2'000'000'000ULL;
    ASSERT_TRUE(tables_.flows.set(all.front().first, flow));
    tc(with_flags(tcp_, kAck));
    EXPECT_GT(only_flow().seen_ns, flow.seen_ns);
    EXPECT_EQ(tc(answer(arrived)).seen().destination, f_.client);
}

TEST_F(Flow, ALostTcpFlowFindsTheSameBackendAndPortAgain)
{
    for (const bool keep_replies : {false, true}) {
        SetUp();
        serve(false, kRemote);
        const Seen first = tc(tcp_).seen();
        ASSERT_TRUE(tables_.flows.erase(tables_.flows.entries().value().front().first));
        if (!keep_replies) {
            ASSERT_TRUE(tables_.replies.erase(tables_.replies.entries().value().front().first));
        }
        const Seen later = tc(with_flags(tcp_, kAck)).seen();
        EXPECT_EQ(later.destination, first.destination);
        EXPECT_EQ(later.source_port, first.source_port);
    }
}

TEST_F(Flow, ATakenReplyTupleMovesTheFlowToTheNodesAddress)
{
    serve(false, kLocal);
    sl_reply_key taken{};
    copy_address(taken.backend_be, f_.local);
    copy_address(taken.source_be, f_.client);
    taken.backend_port_be = htons(8080);
    taken.source_port_be = htons(40000);
    taken.proto = IPPROTO_TCP;
    ASSERT_TRUE(tables_.replies.set(taken, {}));
    const Seen arrived = tc(tcp_).seen();
    EXPECT_EQ(arrived.source, f_.node);
    EXPECT_EQ(arrived.destination, f_.local);
    EXPECT_EQ(tc(answer(arrived), "pod").seen().destination, f_.client);
}

TEST_F(Flow, AnAnswerOfABackendThatTheFlowLeftIsNotShownToTheClient)
{
    serve(false, kLocal);
    set_backend(kRemote, ip("10.2.0.11"), SL_BACKEND_LOCAL);
    const Seen arrived = tc(udp_).seen();
    ASSERT_TRUE(tables_.backends.erase(kLocal));
    ring(kRemote);
    EXPECT_EQ(backend_of(udp_), ip("10.2.0.11"));
    EXPECT_EQ(tc(answer(arrived), "pod").verdict, kNext);
}

}  // namespace
}  // namespace sluice::test
