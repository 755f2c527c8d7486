// SPDX-License-Identifier: Apache-2.0
// Where a packet goes and what it looks like then, both hooks, both families, both protocols.
#include "tests/bpf/rig.h"

namespace sluice::test {
namespace {

struct Case {
    bool v6;
    std::uint8_t proto;
};

const Case kCases[] = {{false, IPPROTO_TCP}, {false, IPPROTO_UDP}, {true, IPPROTO_TCP}, {true, IPPROTO_UDP}};

std::string name(const Case& c) { return std::string(family(c.v6).name) + (c.proto == IPPROTO_TCP ? " tcp" : " udp"); }

void expect_valid(const Seen& seen)
{
    EXPECT_TRUE(seen.ip_checksum_ok);
    EXPECT_TRUE(seen.l4_checksum_ok);
    EXPECT_EQ(seen.ttl, 63);
}

class Forward : public Rig {};

TEST_F(Forward, LocalBackendSeesTheClientsAddressAndItsAnswerBearsTheListeners)
{
    for (const Case& c : kCases) {
        SCOPED_TRACE(name(c));
        const Family& f = family(c.v6);
        SetUp();
        serve(c.v6, kLocal);
        const Packet sent = request(c.v6, c.proto);
        const Outcome there = tc(sent);
        EXPECT_EQ(there.verdict, kRedirect);
        const Seen arrived = there.seen();
        expect_valid(arrived);
        EXPECT_EQ(arrived.source, f.client);
        EXPECT_EQ(arrived.source_port, 40000);
        EXPECT_EQ(arrived.destination, f.local);
        EXPECT_EQ(arrived.destination_port, 8080);

        const Packet reply = answer(arrived);
        const Outcome back = tc(reply, "pod");
        EXPECT_EQ(back.verdict, kRedirect);
        expect_valid(back.seen());
        EXPECT_EQ(back.seen().source, f.vip);
        EXPECT_EQ(back.seen().source_port, 80);
        EXPECT_EQ(back.seen().destination, f.client);
        EXPECT_EQ(back.seen().destination_port, 40000);

        const sl_counters count = counters();
        EXPECT_EQ(count.connections, 1U);
        EXPECT_EQ(count.packets_in, 1U);
        EXPECT_EQ(count.bytes_in, build(sent).size() - 14);
        EXPECT_EQ(count.packets_out, 1U);
        EXPECT_EQ(count.bytes_out, build(reply).size() - 14);
    }
}

// A bridge would take the answer straight to the client, past the node.
TEST_F(Forward, AClientOnTheBackendsOwnLinkIsAnsweredThroughTheNode)
{
    for (const Case& c : kCases) {
        SCOPED_TRACE(name(c));
        const Family& f = family(c.v6);
        SetUp();
        serve(c.v6, kLocal);
        Packet sent = request(c.v6, c.proto);
        sent.source = ip(c.v6 ? "fd02::30" : "10.2.0.30");
        const Seen arrived = tc(sent, "pod").seen();
        expect_valid(arrived);
        EXPECT_EQ(arrived.source, f.node);
        EXPECT_EQ(arrived.destination, f.local);
        const Outcome back = tc(answer(arrived), "pod");
        EXPECT_EQ(back.verdict, kRedirect);
        expect_valid(back.seen());
        EXPECT_EQ(back.seen().source, f.vip);
        EXPECT_EQ(back.seen().destination, sent.source);
        EXPECT_EQ(back.seen().destination_port, 40000);
    }
}

TEST_F(Forward, RemoteBackendSeesTheNodesAddressByEitherHook)
{
    for (const Case& c : kCases)
        for (const bool by_xdp : {false, true}) {
            SCOPED_TRACE(name(c) + (by_xdp ? " xdp" : " tcx"));
            const Family& f = family(c.v6);
            SetUp();
            serve(c.v6, kRemote);
            const int sent_on = by_xdp ? static_cast<int>(XDP_TX) : kRedirect;
            const Outcome there = by_xdp ? xdp(request(c.v6, c.proto)) : tc(request(c.v6, c.proto));
            EXPECT_EQ(there.verdict, sent_on);
            const Seen arrived = there.seen();
            expect_valid(arrived);
            EXPECT_EQ(arrived.source, f.node);
            EXPECT_GE(arrived.source_port, SL_SNAT_PORT_MIN);
            EXPECT_LE(arrived.source_port, SL_SNAT_PORT_MAX);
            EXPECT_EQ(arrived.destination, f.remote);
            EXPECT_EQ(arrived.destination_port, 8080);

            const Packet reply = answer(arrived);
            const Outcome back = by_xdp ? xdp(reply) : tc(reply);
            EXPECT_EQ(back.verdict, sent_on);
            expect_valid(back.seen());
            EXPECT_EQ(back.seen().source, f.vip);
            EXPECT_EQ(back.seen().source_port, 80);
            EXPECT_EQ(back.seen().destination, f.client);
            EXPECT_EQ(back.seen().destination_port, 40000);
            EXPECT_EQ(counters().packets_in, 1U);
            EXPECT_EQ(counters().packets_out, 1U);
            if (by_xdp) {
                const Bytes expected{2, 0, 0, 0, 1, 0x99};
                EXPECT_EQ(Bytes(back.frame.begin(), back.frame.begin() + 6), expected);
            }
        }
}

TEST_F(Forward, XdpLeavesLocalBackendsToTcxUntouchedAndUncounted)
{
    for (const Case& c : kCases) {
        SCOPED_TRACE(name(c));
        SetUp();
        serve(c.v6, kLocal);
        const Bytes frame = build(request(c.v6, c.proto));
        const Outcome outcome = xdp(frame);
        EXPECT_EQ(outcome.verdict, static_cast<int>(XDP_PASS));
        EXPECT_EQ(outcome.frame, frame);
        EXPECT_EQ(counters().packets_in, 0U);
        EXPECT_EQ(tc(frame).verdict, kRedirect);
        EXPECT_EQ(counters().packets_in, 1U);
        EXPECT_EQ(counters().connections, 1U);
    }
}

TEST_F(Forward, XdpWithoutNeighbourLeavesThePacketToTcx)
{
    serve(false, kRemote);
    set_backend(kRemote, ip("10.1.0.77"), 0);
    const Bytes frame = build(request(false, IPPROTO_TCP));
    const Outcome outcome = xdp(frame);
    EXPECT_EQ(outcome.verdict, static_cast<int>(XDP_PASS));
    EXPECT_EQ(outcome.frame, frame);
    EXPECT_EQ(reason(SL_REASON_NO_NEIGHBOUR), 1U);
    EXPECT_EQ(tc(frame).verdict, kRedirect);
}

TEST_F(Forward, UdpWithoutChecksumStaysWithout)
{
    for (const bool by_xdp : {false, true}) {
        SCOPED_TRACE(by_xdp ? "xdp" : "tcx");
        SetUp();
        serve(false, kRemote);
        Packet packet = request(false, IPPROTO_UDP);
        packet.udp_checksum = false;
        const Outcome outcome = by_xdp ? xdp(packet) : tc(packet);
        EXPECT_EQ(outcome.seen().destination, family(false).remote);
        EXPECT_FALSE(outcome.seen().udp_checksum);
    }
}

// Sixty-five thousand payloads meet every checksum, the one that sums to zero among them.
TEST_F(Forward, NoUdpChecksumBecomesZero)
{
    serve(false, kRemote);
    Packet packet = request(false, IPPROTO_UDP);
    for (unsigned i = 0; i < 65536; i++) {
        packet.payload = {static_cast<char>(i >> 8U), static_cast<char>(i)};
        const Outcome outcome = i % 2 == 0 ? xdp(packet) : tc(packet);
        const Seen seen = outcome.seen();
        ASSERT_TRUE(seen.udp_checksum) << i;
        ASSERT_TRUE(seen.l4_checksum_ok) << i;
        ASSERT_TRUE(seen.ip_checksum_ok) << i;
    }
}

TEST_F(Forward, WhatIsNotForAListenerPassesUntouched)
{
    serve(false, kLocal);
    Packet packet = request(false, IPPROTO_TCP);
    packet.destination_port = 81;
    const Bytes frame = build(packet);
    for (const Outcome& outcome : {tc(frame), xdp(frame)})
        EXPECT_EQ(outcome.frame, frame);
    EXPECT_EQ(tc(frame).verdict, kNext);
    EXPECT_EQ(xdp(frame).verdict, static_cast<int>(XDP_PASS));
    EXPECT_EQ(flows(), 0U);
}

TEST_F(Forward, AListenerOfTheProxyPassesUntouched)
{
    serve(false, kLocal, SL_SERVED_BY_PROXY);
    const Bytes frame = build(request(false, IPPROTO_TCP));
    EXPECT_EQ(tc(frame).verdict, kNext);
    EXPECT_EQ(tc(frame).frame, frame);
    EXPECT_EQ(xdp(frame).verdict, static_cast<int>(XDP_PASS));
    EXPECT_EQ(flows(), 0U);
}

TEST_F(Forward, ABackendThatCallsItselfSeesTheNode)
{
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(family(v6).name);
        SetUp();
        serve(v6, kLocal);
        Packet packet = request(v6, IPPROTO_TCP);
        packet.source = family(v6).local;
        const Seen arrived = tc(packet, "pod").seen();
        EXPECT_EQ(arrived.source, family(v6).node);
        const Outcome back = tc(answer(arrived), "pod");
        EXPECT_EQ(back.verdict, kRedirect);
        EXPECT_EQ(back.seen().destination, family(v6).local);
    }
}

TEST_F(Forward, ABackendThatIsAnAddressOfTheNodeIsLeftToTheRelay)
{
    serve(false, kRemote);
    set_backend(kRemote, ip("10.2.0.1"), 0);
    const Bytes frame = build(request(false, IPPROTO_TCP));
    const Outcome outcome = tc(frame);
    EXPECT_EQ(outcome.verdict, kNext);
    EXPECT_EQ(outcome.frame, frame);
    EXPECT_EQ(reason(SL_REASON_NO_ROUTE), 1U);
}

// Of more than 64 KiB, which the length field cannot say.
TEST_F(Forward, WhatTheKernelHasMergedMayBeWithoutALength)
{
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(family(v6).name);
        SetUp();
        serve(v6, kRemote);
        Bytes frame = build(request(v6, IPPROTO_TCP));
        const std::size_t length = v6 ? 18 : 16;
        frame[length] = frame[length + 1] = 0;
        EXPECT_EQ(tc(frame).verdict, kShot) << "one packet says how long it is";
        EXPECT_EQ(xdp(frame).verdict, static_cast<int>(XDP_DROP));
        const Outcome outcome = tc_merged(frame, 3);
        EXPECT_EQ(outcome.verdict, kRedirect);
        EXPECT_EQ(outcome.seen().destination, family(v6).remote);
        EXPECT_EQ(counters().packets_in, 3U);
        EXPECT_EQ(counters().bytes_in, frame.size() - 14 + 2 * (v6 ? 60 : 40));
    }
}

}  // namespace
}  // namespace sluice::test
