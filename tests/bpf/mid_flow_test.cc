// SPDX-License-Identifier: Apache-2.0
// A TCP connection that the kernel forwards, and packets of it that cannot be: the stack knows nothing of it, and would
// answer them with a reset.
#include "tests/bpf/rig.h"

namespace sluice::test {
namespace {

struct Oddity {
    std::uint32_t reason;
    void (*make)(Packet&);
};

const Oddity kOddities[] = {{SL_REASON_TTL, [](Packet& packet) { packet.ttl = 1; }},
                            {SL_REASON_FRAGMENT, [](Packet& packet) { packet.more_fragments = true; }},
                            {SL_REASON_IP_OPTIONS, [](Packet& packet) { packet.ip_options = true; }}};

const char* const kNowhere = "10.9.0.1";  // no route leads there

class MidFlow : public Rig {
protected:
    static Packet with_flags(Packet packet, std::uint8_t flags)
    {
        packet.tcp_flags = flags;
        return packet;
    }
    std::size_t leases() { return tables_.replies.entries().value().size(); }

    const Packet tcp_ = request(false, IPPROTO_TCP);
    const Packet udp_ = request(false, IPPROTO_UDP);
    const Family& f_ = family(false);
};

TEST_F(MidFlow, OddPacketsOfEitherSideAreDroppedByEitherHook)
{
    for (const bool v6 : {false, true})
        for (const Oddity& oddity : kOddities) {
            SCOPED_TRACE(std::string(family(v6).name) + " " + maps::reason_name(oddity.reason));
            SetUp();
            serve(v6, kRemote);
            const Seen arrived = tc(request(v6, IPPROTO_TCP)).seen();
            Packet there = with_flags(request(v6, IPPROTO_TCP), kAck);
            Packet back = answer(arrived, kAck);
            for (Packet* packet : {&there, &back}) {
                oddity.make(*packet);
                EXPECT_EQ(tc(*packet).verdict, kShot);
                EXPECT_EQ(xdp(*packet).verdict, static_cast<int>(XDP_DROP));
            }
            EXPECT_EQ(reason(SL_REASON_ODD_MID_FLOW), 4U);
            EXPECT_EQ(reason(oddity.reason), 0U);
            EXPECT_EQ(flows(), 1U);
        }
}

TEST_F(MidFlow, OddPacketsThatNoStackWouldResetAreHandedUp)
{
    for (const Oddity& oddity : kOddities) {
        SCOPED_TRACE(maps::reason_name(oddity.reason));
        SetUp();
        serve(false, kRemote);
        tc(udp_);
        Packet datagram = udp_;
        oddity.make(datagram);
        EXPECT_EQ(tc(datagram).verdict, kNext);

        const Seen arrived = tc(tcp_).seen();
        Packet first = tcp_;
        oddity.make(first);
        EXPECT_EQ(tc(first).verdict, kNext) << "the beginning of another connection";
        tc(answer(arrived, kRst));
        Packet late = with_flags(tcp_, kAck);
        oddity.make(late);
        EXPECT_EQ(tc(late).verdict, kNext) << "the connection has ended";
        EXPECT_EQ(reason(oddity.reason), 3U);
        EXPECT_EQ(reason(SL_REASON_ODD_MID_FLOW), 0U);
    }
}

// Else what follows would match the flow, and not reach the relay that took the connection.
TEST_F(MidFlow, AFlowWithoutARouteIsTakenBackWhenItIsNew)
{
    for (const Packet& packet : {tcp_, udp_})
        for (const bool by_xdp : {false, true}) {
            SCOPED_TRACE(by_xdp ? "xdp" : "tcx");
            SetUp();
            serve(false, kRemote);
            set_backend(kRemote, ip(kNowhere), 0);
            const Bytes frame = build(packet);
            const Outcome outcome = by_xdp ? xdp(frame) : tc(frame);
            EXPECT_EQ(outcome.verdict, by_xdp ? static_cast<int>(XDP_PASS) : kNext);
            EXPECT_EQ(outcome.frame, frame);
            EXPECT_EQ(reason(SL_REASON_NO_ROUTE), by_xdp ? 0U : 1U);
            EXPECT_EQ(flows(), 0U);
            EXPECT_EQ(leases(), 0U);
        }
}

TEST_F(MidFlow, WithoutARouteAConnectionLosesPacketsAndIsNotReset)
{
    serve(false, kRemote);
    tc(tcp_);
    set_backend(kRemote, ip(kNowhere), 0);
    EXPECT_EQ(xdp(with_flags(tcp_, kAck)).verdict, static_cast<int>(XDP_PASS)) << "tcx decides";
    EXPECT_EQ(tc(with_flags(tcp_, kAck)).verdict, kShot);
    EXPECT_EQ(tc(tcp_).verdict, kShot) << "its SYN once more";
    EXPECT_EQ(reason(SL_REASON_UNROUTABLE), 2U);
    EXPECT_EQ(flows(), 1U);
    EXPECT_EQ(leases(), 1U);
    set_backend(kRemote, f_.remote, 0);
    EXPECT_EQ(tc(with_flags(tcp_, kAck)).verdict, kRedirect);
}

TEST_F(MidFlow, WithoutARouteDatagramsAreLeftToTheRelayAndTheFlowStays)
{
    serve(false, kRemote);
    tc(udp_);
    set_backend(kRemote, ip(kNowhere), 0);
    EXPECT_EQ(tc(udp_).verdict, kNext);
    EXPECT_EQ(reason(SL_REASON_NO_ROUTE), 1U);
    EXPECT_EQ(flows(), 1U);
}

// One to the node's address would be reset there. One to the client's own is the stack's to forward, which tells the
// backend by ICMP why it cannot.
TEST_F(MidFlow, AnAnswerWithoutARouteIsDroppedUnlessTheStackHasSomeoneToTell)
{
    for (const std::uint32_t backend : {kRemote, kLocal}) {
        SCOPED_TRACE(backend);
        SetUp();
        serve(false, backend);
        const Packet back = answer(tc(tcp_).seen(), kAck);
        ASSERT_EQ(std::system("ip route add unreachable 10.1.0.99/32"), 0);
        const int verdict = tc(back, backend == kLocal ? "pod" : "wire").verdict;
        ASSERT_EQ(std::system("ip route del unreachable 10.1.0.99/32"), 0);
        EXPECT_EQ(verdict, backend == kLocal ? kNext : kShot);
        EXPECT_EQ(reason(SL_REASON_UNROUTABLE), backend == kLocal ? 0U : 1U);
        EXPECT_EQ(reason(SL_REASON_NO_ROUTE), backend == kLocal ? 1U : 0U);
    }
}

TEST_F(MidFlow, WhatIsTooBigForTheBackendsLinkIsDroppedUnlessItIsYetToBeSegmented)
{
    serve(false, kRemote);
    tc(tcp_);
    Packet big = with_flags(tcp_, kAck);
    big.payload.assign(1600, 'x');
    EXPECT_EQ(tc(big).verdict, kShot);
    EXPECT_EQ(reason(SL_REASON_TOO_BIG), 1U);
    EXPECT_EQ(tc_merged(build(big), 2).verdict, kRedirect);
    big.proto = IPPROTO_UDP;
    EXPECT_EQ(tc(big).verdict, kNext) << "the relay may send it in fragments";
    EXPECT_EQ(reason(SL_REASON_NO_ROUTE), 1U);
    EXPECT_EQ(flows(), 1U) << "of TCP alone";
}

}  // namespace
}  // namespace sluice::test
