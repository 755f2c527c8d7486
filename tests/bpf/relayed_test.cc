// SPDX-License-Identifier: Apache-2.0
// A listener that the proxy relays since the kernel has forwarded it: whose a TCP packet is then.
#include "tests/bpf/rig.h"

namespace sluice::test {
namespace {

class Relayed : public Rig {
protected:
    void SetUp() override
    {
        Rig::SetUp();
        if (!IsSkipped() && !HasFatalFailure())
            serve(false, kRemote);
    }
    void relay() { serve(false, kRemote, SL_SERVED_BY_PROXY); }
    static Packet with_flags(Packet packet, std::uint8_t flags)
    {
        packet.tcp_flags = flags;
        return packet;
    }

    const Packet syn_ = request(false, IPPROTO_TCP);
    const Packet ack_ = with_flags(syn_, kAck);
    const Family& f_ = family(false);
};

TEST_F(Relayed, AConnectionThatTheKernelForwardsGoesOn)
{
    const Seen first = tc(syn_).seen();
    relay();
    set_backend(kRemote, f_.remote, SL_BACKEND_DRAINING);
    ring(SL_BACKEND_NONE);
    for (const bool by_xdp : {false, true}) {
        SCOPED_TRACE(by_xdp ? "xdp" : "tcx");
        const Outcome there = by_xdp ? xdp(ack_) : tc(ack_);
        EXPECT_EQ(there.verdict, by_xdp ? static_cast<int>(XDP_TX) : kRedirect);
        EXPECT_EQ(there.seen().destination, f_.remote);
        EXPECT_EQ(there.seen().source_port, first.source_port);
        const Packet back = answer(first, kAck);
        EXPECT_EQ((by_xdp ? xdp(back) : tc(back)).seen().destination, f_.client);
    }
    EXPECT_EQ(counters().packets_in, 3U);
}

TEST_F(Relayed, TheNextConnectionOfItsClientIsTheRelays)
{
    for (const bool by_xdp : {false, true}) {
        SCOPED_TRACE(by_xdp ? "xdp" : "tcx");
        SetUp();
        tc(syn_);
        relay();
        const Bytes frame = build(syn_);
        const Outcome first = by_xdp ? xdp(frame) : tc(frame);
        EXPECT_EQ(first.verdict, by_xdp ? static_cast<int>(XDP_PASS) : kNext);
        EXPECT_EQ(first.frame, frame);
        EXPECT_EQ(flows(), 0U);
        EXPECT_EQ(tables_.replies.entries().value().size(), 0U);
        EXPECT_EQ(tc(ack_).verdict, kNext);
        EXPECT_EQ(xdp(ack_).verdict, static_cast<int>(XDP_PASS));
    }
}

TEST_F(Relayed, AnOddSynIsTheRelaysTooAndAnOddPacketOfTheOldConnectionIsLost)
{
    tc(syn_);
    relay();
    Packet odd = ack_;
    odd.ip_options = true;
    EXPECT_EQ(tc(odd).verdict, kShot);
    EXPECT_EQ(reason(SL_REASON_ODD_MID_FLOW), 1U);
    odd.tcp_flags = kSyn;
    EXPECT_EQ(tc(odd).verdict, kNext);
    EXPECT_EQ(flows(), 0U);
}

TEST_F(Relayed, AConnectionWhoseBackendIsGoneIsTheRelaysToReset)
{
    tc(syn_);
    relay();
    set_backend(kRemote, f_.remote, 0, 2);
    EXPECT_EQ(tc(ack_).verdict, kNext);
    EXPECT_EQ(flows(), 0U);
}

TEST_F(Relayed, DatagramsAndListenersThatTheKernelNeverForwardedAreTheProxys)
{
    const Packet datagram = request(false, IPPROTO_UDP);
    tc(datagram);
    tc(syn_);
    relay();
    EXPECT_EQ(tc(datagram).verdict, kNext);
    sl_listener_key key{};
    copy_address(key.addr_be, f_.vip);
    key.port_be = htons(80);
    key.proto = IPPROTO_TCP;
    ASSERT_TRUE(tables_.listeners.set(key, {0, SL_SERVED_BY_PROXY, {}}));
    EXPECT_EQ(tc(ack_).verdict, kNext);
}

}  // namespace
}  // namespace sluice::test
