// SPDX-License-Identifier: Apache-2.0
// What the programs do when the flow table is full: the least recently used flow gives way, and goes on without state.
#include "tests/bpf/rig.h"

namespace sluice::test {
namespace {

class FullFlowTable : public Rig {
protected:
    // One packet of the flow number `number`, of 60,000 ports a client address.
    [[nodiscard]] Packet flow(std::uint32_t number, std::uint8_t flags) const
    {
        Packet packet = request(false, IPPROTO_TCP);
        std::array<std::uint8_t, 16> client = packet.source.bytes();
        client[15] = static_cast<std::uint8_t>(100 + number / 60000);
        packet.source = IpAddress::from_bytes(client);
        packet.source_port = static_cast<std::uint16_t>(1024 + number % 60000);
        packet.tcp_flags = flags;
        return packet;
    }
};

TEST_F(FullFlowTable, NewFlowsAreTakenAndEvictedOnesKeepTheirBackend)
{
    serve(false, kLocal);
    constexpr std::uint32_t kFlows = SL_FLOWS_MAX + SL_FLOWS_MAX / 8;
    for (std::uint32_t i = 0; i < kFlows; ++i)
        ASSERT_EQ(tc(flow(i, kSyn)).verdict, kRedirect) << "flow " << i;
    EXPECT_LE(flows(), static_cast<std::size_t>(SL_FLOWS_MAX));
    EXPECT_GT(flows(), static_cast<std::size_t>(SL_FLOWS_MAX) * 9 / 10) << "eviction takes a few, not many";
    EXPECT_EQ(counters().connections, kFlows);

    sl_flow_key first{};
    copy_address(first.client_be, flow(0, 0).source);
    copy_address(first.vip_be, family(false).vip);
    first.client_port_be = htons(1024);
    first.vip_port_be = htons(80);
    first.proto = IPPROTO_TCP;
    sl_flow found{};
    ASSERT_NE(bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.sl_flows), &first, &found), 0) << "is to be evicted";
    const Outcome later = tc(flow(0, kAck));
    EXPECT_EQ(later.verdict, kRedirect);
    EXPECT_EQ(later.seen().destination, family(false).local);
    EXPECT_EQ(later.seen().source, flow(0, 0).source);
    EXPECT_EQ(tc(answer(later.seen(), kAck), "pod").seen().source, family(false).vip);
}

}  // namespace
}  // namespace sluice::test
