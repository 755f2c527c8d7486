// SPDX-License-Identifier: Apache-2.0
// The share of new flows that each backend gets is the share of the ring that it holds.
#include <map>

#include "tests/bpf/rig.h"

namespace sluice::test {
namespace {

class Spread : public Rig {
protected:
    // Nine slots of ten for kRemote, the tenth for kRemote2, in the plainest order.
    void ninety_to_ten()
    {
        std::vector<std::uint32_t> slots(SL_RING_SLOTS, kRemote);
        for (std::size_t i = 0; i < slots.size(); i += 10)
            slots[i] = kRemote2;
        ASSERT_TRUE(tables_.rings.set(kListener, std::span<const std::uint32_t, SL_RING_SLOTS>(slots)));
    }
};

TEST_F(Spread, AThousandSequentialPortsSplitNinetyToTen)
{
    for (const bool v6 : {false, true})
        for (const std::uint8_t proto : kProtocols)
            for (const unsigned step : {1U, 2U}) {
                SCOPED_TRACE(std::string(family(v6).name) + " " + std::to_string(proto) + " step " +
                             std::to_string(step));
                SetUp();
                serve(v6, kRemote);
                ninety_to_ten();
                std::map<IpAddress, int> count;
                Packet packet = request(v6, proto);
                for (unsigned i = 0; i < 1000; i++) {
                    packet.source_port = static_cast<std::uint16_t>(32768 + i * step);
                    count[tc(packet).seen().destination]++;
                }
                EXPECT_EQ(count.size(), 2U);
                EXPECT_NEAR(count[family(v6).remote], 900, 30);
                EXPECT_NEAR(count[family(v6).remote2], 100, 30);
                EXPECT_EQ(counters().connections, 1000U);
                EXPECT_EQ(flows(), 1000U);
                EXPECT_EQ(tables_.replies.entries().value().size(), 1000U);
            }
}

TEST_F(Spread, AThousandClientsWithOnePortSplitNinetyToTen)
{
    serve(true, kRemote);
    ninety_to_ten();
    std::map<IpAddress, int> count;
    Packet packet = request(true, IPPROTO_UDP);
    for (unsigned i = 0; i < 1000; i++) {
        auto bytes = family(true).client.bytes();
        bytes[5] = static_cast<std::uint8_t>(i >> 8U);
        bytes[6] = static_cast<std::uint8_t>(i);
        packet.source = IpAddress::from_bytes(bytes);
        count[xdp(packet).seen().destination]++;
        count[tc(packet).seen().destination]++;
    }
    // tcx finds the flow that XDP began, so each client counts twice for one backend.
    EXPECT_EQ(flows(), 1000U);
    EXPECT_NEAR(count[family(true).remote2], 2 * 100, 2 * 30);
}

}  // namespace
}  // namespace sluice::test
