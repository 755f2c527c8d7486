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

TEST_F(Flow, APortOfAListenerOnTheNodesAddressIsNobodysSource)
{
    constexpr std::uint8_t kServers[] = {SL_SERVED_BY_KERNEL, SL_SERVED_BY_PROXY};
    for (const std::uint8_t proto : kProtocols) {
        for (const std::uint8_t served_by : kServers) {
            SetUp();
            serve(false, kRemote);
            const Packet packet = proto == IPPROTO_TCP ? tcp_ : udp_;
            const std::uint16_t port = tc(packet).seen().source_port;
            ASSERT_TRUE(tables_.flows.erase(tables_.flows.entries().value().front().first));
            ASSERT_TRUE(tables_.replies.erase(tables_.replies.entries().value().front().first));
            sl_listener_key listener{};
            copy_address(listener.addr_be, f_.node);
            listener.port_be = htons(port);
            listener.proto = proto;
            ASSERT_TRUE(tables_.listeners.set(listener, {kListener + 1U, served_by, {}}));
            const Seen arrived = tc(packet).seen();
            EXPECT_EQ(arrived.source, f_.node);
            EXPECT_NE(arrived.source_port, port);
            EXPECT_EQ(tc(answer(arrived)).seen().destination, f_.client);
        }
    }
}

// A flow that has gone by leases (backend, node, port): it is the holder of that reply tuple, as tc or xdp would make
// it.
TEST_F(Flow, SourcePortsOfFlowsThatAreOverAreGivenToOthers)
{
    const struct {
        const char* claim;
        std::uint8_t proto;
        std::uint8_t flags;
        std::uint64_t idle_s;
        bool is_taken;
    } rows[] = {
        {"open", IPPROTO_TCP, 0, 61, false},
        {"half closed", IPPROTO_TCP, SL_FLOW_FIN_CLIENT, 61, false},
        {"closed, and perhaps heard of again", IPPROTO_TCP, SL_FLOW_FIN_CLIENT | SL_FLOW_FIN_BACKEND, 59, false},
        {"closed", IPPROTO_TCP, SL_FLOW_FIN_CLIENT | SL_FLOW_FIN_BACKEND, 61, true},
        {"reset", IPPROTO_TCP, SL_FLOW_RESET, 61, true},
        {"a datagram a minute", IPPROTO_UDP, 0, 59, false},
        {"no datagram", IPPROTO_UDP, 0, 61, true},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.claim);
        SetUp();
        serve(false, kRemote);
        const Packet packet = row.proto == IPPROTO_TCP ? tcp_ : udp_;
        const std::uint16_t first = tc(packet).seen().source_port;
        const auto [key, flow] = tables_.flows.entries().value().front();
        const sl_reply_key lease = tables_.replies.entries().value().front().first;
        ASSERT_TRUE(tables_.flows.erase(key));
        constexpr unsigned kPorts = SL_SNAT_PORT_MAX - SL_SNAT_PORT_MIN + 1;
        for (unsigned i = 0; i < SL_SNAT_TRIES; i++) {
            const auto port = static_cast<std::uint16_t>(SL_SNAT_PORT_MIN + (first - SL_SNAT_PORT_MIN + i) % kPorts);
            sl_reply_key held = lease;
            held.source_port_be = htons(port);
            sl_flow_key holder = key;
            holder.client_port_be = htons(static_cast<std::uint16_t>(1000 + i));
            sl_flow gone = flow;
            gone.source_port_be = htons(port);
            gone.flags |= row.flags;
            gone.seen_ns -= row.idle_s * 1'000'000'000ULL;
            ASSERT_TRUE(tables_.replies.set(held, holder));
            ASSERT_TRUE(tables_.flows.set(holder, gone));
        }
        const Outcome outcome = tc(packet);
        EXPECT_EQ(outcome.verdict, row.is_taken ? kRedirect : kNext);
        EXPECT_EQ(reason(SL_REASON_NO_SNAT_PORT), row.is_taken ? 0U : 1U);
        EXPECT_EQ(flows(), SL_SNAT_TRIES) << "one has gone for it, or none was made";
        if (row.is_taken) {
            EXPECT_EQ(tc(answer(outcome.seen())).seen().destination, f_.client);
        }
    }
}

// By the same addresses and ports as a flow once had, a client may come to the backend by another way than the
// listener.
TEST_F(Flow, WhatComesByTheTupleOfAFlowThatIsOverIsNotItsAnswer)
{
    const struct {
        const char* claim;
        std::uint8_t proto;
        std::uint8_t flags;
        std::uint64_t idle_s;
        std::uint8_t answer_flags;
        bool is_forwarded;
    } rows[] = {
        {"the last words of a closed flow", IPPROTO_TCP, SL_FLOW_FIN_CLIENT | SL_FLOW_FIN_BACKEND, 1, kFin | kAck,
         true},
        {"long after it was closed", IPPROTO_TCP, SL_FLOW_FIN_CLIENT | SL_FLOW_FIN_BACKEND, 61, kAck, false},
        {"another connection's beginning, closed", IPPROTO_TCP, SL_FLOW_FIN_CLIENT | SL_FLOW_FIN_BACKEND, 1,
         kSyn | kAck, false},
        {"another connection's beginning, reset", IPPROTO_TCP, SL_FLOW_RESET, 1, kSyn | kAck, false},
        {"the beginning of its own", IPPROTO_TCP, 0, 1, kSyn | kAck, true},
        {"an open one that was silent", IPPROTO_TCP, 0, 3600, kAck, true},
        {"a late datagram", IPPROTO_UDP, 0, 61, 0, false},
        {"a datagram in time", IPPROTO_UDP, 0, 59, 0, true},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.claim);
        SetUp();
        serve(false, kLocal);
        const Seen arrived = tc(row.proto == IPPROTO_TCP ? tcp_ : udp_).seen();
        auto [key, flow] = tables_.flows.entries().value().front();
        flow.flags |= row.flags;
        flow.seen_ns -= row.idle_s * 1'000'000'000ULL;
        ASSERT_TRUE(tables_.flows.set(key, flow));
        EXPECT_EQ(tc(answer(arrived, row.answer_flags), "pod").verdict, row.is_forwarded ? kRedirect : kNext);
    }
}

TEST_F(Flow, ASynLeavesABackendThatDrainsAndAListenerThatIsNotItsOwn)
{
    serve(false, kRemote);
    EXPECT_EQ(backend_of(tcp_), f_.remote);
    set_backend(kRemote, f_.remote, SL_BACKEND_DRAINING);
    ring(kRemote2);
    EXPECT_EQ(backend_of(tcp_), f_.remote2);
    auto [key, flow] = tables_.flows.entries().value().front();
    flow.listener_id = kListener + 1;
    ASSERT_TRUE(tables_.flows.set(key, flow));
    ring(kLocal);
    EXPECT_EQ(backend_of(with_flags(tcp_, kAck)), f_.remote2) << "what began goes on";
    EXPECT_EQ(backend_of(tcp_), f_.local);
}

// The stack answers the SYN then: what follows must not go to the backend of before.
TEST_F(Flow, AFlowThatCannotBeginAnewIsForgotten)
{
    serve(false, kRemote);
    const Seen arrived = tc(tcp_).seen();
    tc(answer(arrived, kRst));
    ring(SL_BACKEND_NONE);
    EXPECT_EQ(tc(tcp_).verdict, kNext);
    EXPECT_EQ(flows(), 0U);
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
