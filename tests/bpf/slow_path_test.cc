// SPDX-License-Identifier: Apache-2.0
// What leaves the fast path: handed on untouched and counted, or dropped and counted, and never half written.
#include "tests/bpf/rig.h"

namespace sluice::test {
namespace {

class SlowPath : public Rig {
protected:
    void expect_untouched(const Packet& packet, std::uint32_t number)
    {
        const Bytes frame = build(packet);
        const std::uint64_t before = reason(number);
        const Outcome by_xdp = xdp(frame);
        EXPECT_EQ(by_xdp.verdict, static_cast<int>(XDP_PASS));
        EXPECT_EQ(by_xdp.frame, frame);
        EXPECT_EQ(reason(number), before);
        const Outcome by_tc = tc(frame);
        EXPECT_EQ(by_tc.verdict, kNext);
        EXPECT_EQ(by_tc.frame, frame);
        EXPECT_EQ(reason(number), before + 1);
    }

    // The packet loses a header byte after byte; the rest of it must never be rewritten.
    void expect_no_prefix_is_forwarded(const Packet& packet, std::size_t header_bytes)
    {
        const Bytes whole = build(packet);
        const std::size_t l3_end = packet.source.is_v4() ? 34 : 54;
        for (std::size_t size = 14; size < header_bytes; size++) {
            const Bytes frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            const Outcome by_xdp = xdp(frame);
            EXPECT_NE(by_xdp.verdict, static_cast<int>(XDP_TX)) << size;
            EXPECT_EQ(by_xdp.frame, frame) << size;
            if (size < l3_end)
                continue;  // the kernel's test run makes no skb without its IP header
            const Outcome by_tc = tc(frame);
            EXPECT_NE(by_tc.verdict, kRedirect) << size;
            EXPECT_EQ(by_tc.frame, frame) << size;
        }
        EXPECT_EQ(flows(), 0U);
    }
};

TEST_F(SlowPath, ExpiringFragmentedAndOptionPacketsGoToTheStack)
{
    for (const bool v6 : {false, true})
        for (const std::uint8_t proto : kProtocols) {
            SCOPED_TRACE(std::string(family(v6).name) + " " + std::to_string(proto));
            SetUp();
            serve(v6, kRemote);
            Packet packet = request(v6, proto);
            packet.ttl = 1;
            expect_untouched(packet, SL_REASON_TTL);
            packet.ttl = 64;
            packet.more_fragments = true;
            expect_untouched(packet, SL_REASON_FRAGMENT);
            packet.more_fragments = false;
            packet.ip_options = true;
            expect_untouched(packet, SL_REASON_IP_OPTIONS);
            EXPECT_EQ(flows(), 0U);
        }
}

TEST_F(SlowPath, AnExpiringAnswerByUdpGoesToTheStack)
{
    serve(false, kRemote);
    Packet reply = answer(tc(request(false, IPPROTO_UDP)).seen());
    reply.ttl = 1;
    expect_untouched(reply, SL_REASON_TTL);
}

TEST_F(SlowPath, ARefusedShareOfTcpGoesToTheStackAndOfUdpIsDropped)
{
    serve(false, SL_BACKEND_NONE);
    expect_untouched(request(false, IPPROTO_TCP), SL_REASON_REFUSED_TCP);
    EXPECT_EQ(tc(request(false, IPPROTO_UDP)).verdict, kShot);
    EXPECT_EQ(xdp(request(false, IPPROTO_UDP)).verdict, static_cast<int>(XDP_DROP));
    EXPECT_EQ(reason(SL_REASON_REFUSED_UDP), 2U);
    EXPECT_EQ(flows(), 0U);
}

TEST_F(SlowPath, AListenerWithoutARingRefuses)
{
    serve(false, kRemote);
    ASSERT_TRUE(tables_.rings.erase(kListener));
    expect_untouched(request(false, IPPROTO_TCP), SL_REASON_REFUSED_TCP);
}

TEST_F(SlowPath, MidFlowWithoutABackendToDeriveGoesToTheStack)
{
    serve(false, SL_BACKEND_NONE);
    Packet packet = request(false, IPPROTO_TCP);
    packet.tcp_flags = kAck;
    expect_untouched(packet, SL_REASON_NO_FLOW);
    ring(kRemote);
    packet.tcp_flags = kRst;
    expect_untouched(packet, SL_REASON_NO_FLOW);
}

TEST_F(SlowPath, ARingThatNamesAnUnknownBackendDrops)
{
    serve(false, 4242);
    EXPECT_EQ(tc(request(false, IPPROTO_TCP)).verdict, kShot);
    EXPECT_EQ(tc(request(false, IPPROTO_UDP)).verdict, kShot);
    EXPECT_EQ(reason(SL_REASON_NO_BACKEND), 2U);
}

TEST_F(SlowPath, AFrameForAnotherHostIsLeftToThatHost)
{
    serve(false, kLocal);
    Bytes frame = build(request(false, IPPROTO_UDP));
    frame[5] = 9;
    const Outcome outcome = tc(frame);
    EXPECT_EQ(outcome.verdict, kNext);
    EXPECT_EQ(outcome.frame, frame);
    EXPECT_EQ(flows(), 0U);
}

TEST_F(SlowPath, UdpFromAListenersOwnAddressAndPortIsDropped)
{
    for (const bool v6 : {false, true}) {
        serve(v6, kLocal);
        Packet packet = request(v6, IPPROTO_UDP);
        packet.source = packet.destination;
        EXPECT_EQ(tc(packet).verdict, kRedirect) << "from another port it is a client like others";
        packet.source_port = packet.destination_port;
        EXPECT_EQ(tc(packet).verdict, kShot);
        packet.proto = IPPROTO_TCP;
        EXPECT_EQ(tc(packet).verdict, kRedirect) << "no answer is a SYN";
    }
    EXPECT_EQ(reason(SL_REASON_LOOP), 2U);
}

TEST_F(SlowPath, ARemoteBackendNeedsAnAddressOfTheNode)
{
    serve(false, kRemote);
    sl_backend backend = *tables_.backends.get(kRemote).value();
    std::ranges::fill(backend.source_be, 0U);
    ASSERT_TRUE(tables_.backends.set(kRemote, backend));
    expect_untouched(request(false, IPPROTO_UDP), SL_REASON_NO_NODE_ADDRESS);
}

TEST_F(SlowPath, WhenEveryCandidatePortIsTakenTheFlowGoesToTheStack)
{
    serve(false, kRemote);
    sl_reply_key taken{};
    copy_address(taken.backend_be, family(false).remote);
    copy_address(taken.source_be, family(false).node);
    taken.backend_port_be = htons(8080);
    taken.proto = IPPROTO_TCP;
    for (unsigned port = SL_SNAT_PORT_MIN; port <= SL_SNAT_PORT_MAX; port++) {
        taken.source_port_be = htons(static_cast<std::uint16_t>(port));
        ASSERT_TRUE(tables_.replies.set(taken, {}));
    }
    expect_untouched(request(false, IPPROTO_TCP), SL_REASON_NO_SNAT_PORT);
    EXPECT_EQ(flows(), 0U);
}

TEST_F(SlowPath, ATruncatedHeaderIsNeverRewritten)
{
    for (const bool v6 : {false, true})
        for (const std::uint8_t proto : kProtocols) {
            SCOPED_TRACE(std::string(family(v6).name) + " " + std::to_string(proto));
            SetUp();
            serve(v6, kRemote);
            const std::size_t header_bytes = (v6 ? 54U : 34U) + (proto == IPPROTO_TCP ? 20U : 8U);
            expect_no_prefix_is_forwarded(request(v6, proto), header_bytes);
        }
}

TEST_F(SlowPath, LengthsThatContradictEachOtherAreDropped)
{
    struct Lie {
        const char* what;
        std::uint8_t proto;
        std::size_t at;
        std::uint8_t value;
    };
    const Lie lies[] = {{"IP length beyond the frame", IPPROTO_TCP, 16, 0x7f},
                        {"IP length below its header", IPPROTO_TCP, 17, 10},
                        {"TCP header below 20", IPPROTO_TCP, 46, 0x40},
                        {"TCP header beyond the packet", IPPROTO_TCP, 46, 0xf0},
                        {"UDP length below 8", IPPROTO_UDP, 39, 7},
                        {"UDP length beyond the packet", IPPROTO_UDP, 38, 0x40}};
    std::uint64_t dropped = 0;
    for (const Lie& lie : lies) {
        SCOPED_TRACE(lie.what);
        serve(false, kRemote);
        Bytes frame = build(request(false, lie.proto));
        frame[lie.at] = lie.value;
        EXPECT_EQ(tc(frame).verdict, kShot);
        EXPECT_EQ(xdp(frame).verdict, static_cast<int>(XDP_DROP));
        dropped += 2;
        EXPECT_EQ(reason(SL_REASON_MALFORMED), dropped);
    }
    EXPECT_EQ(flows(), 0U);
}

TEST_F(SlowPath, OtherProtocolsAndVlanTagsPass)
{
    serve(false, kRemote);
    for (const auto& [at, value] :
         std::vector<std::pair<std::size_t, std::uint8_t>>{{12, 0x81}, {12, 0x88}, {23, 1}, {14, 0x55}}) {
        Bytes frame = build(request(false, IPPROTO_TCP));
        frame[at] = value;
        EXPECT_EQ(tc(frame).verdict, kNext);
        EXPECT_EQ(xdp(frame).verdict, static_cast<int>(XDP_PASS));
    }
    EXPECT_EQ(flows(), 0U);
}

TEST_F(SlowPath, CountersOfAnUnknownListenerIdNeverDropAPacket)
{
    serve(false, kLocal);
    sl_listener_key key{};
    copy_address(key.addr_be, family(false).vip);
    key.port_be = htons(80);
    key.proto = IPPROTO_TCP;
    ASSERT_TRUE(tables_.listeners.set(key, {SL_LISTENER_IDS_MAX, SL_SERVED_BY_KERNEL, {}}));
    EXPECT_EQ(tc(request(false, IPPROTO_TCP)).verdict, kNext);
}

}  // namespace
}  // namespace sluice::test
