// SPDX-License-Identifier: Apache-2.0
#include "agent/apply/reach.h"

#include <gtest/gtest.h>

namespace sluice::apply {
namespace {

using Kind = Reach::Kind;

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

struct LinkRow {
    unsigned ifindex;
    const char* kind;
    unsigned master;
    bool ethernet, leads_out;
};

std::vector<loader::Link> links()
{
    std::vector<loader::Link> result;
    for (const LinkRow& row :
         {LinkRow{1, "", 0, true, false}, LinkRow{2, "veth", 0, true, true}, LinkRow{3, "bridge", 0, true, false},
          LinkRow{4, "veth", 3, true, true}, LinkRow{5, "tun", 3, true, false}, LinkRow{6, "bridge", 0, true, false},
          LinkRow{7, "", 6, true, false}, LinkRow{8, "veth", 6, true, true}, LinkRow{9, "vxlan", 0, true, false},
          LinkRow{10, "wireguard", 0, false, false}, LinkRow{11, "", 0, true, false},
          LinkRow{13, "veth", 0, true, false}, LinkRow{14, "tun", 0, true, false},
          LinkRow{15, "netkit", 0, true, true}})
        result.push_back({.ifindex = row.ifindex,
                          .name = "l" + std::to_string(row.ifindex),
                          .kind = row.kind,
                          .master = row.master,
                          .ethernet = row.ethernet,
                          .leads_out = row.leads_out,
                          .loopback = false,
                          .up = true,
                          .addresses = {}});
    return result;
}

struct Row {
    const char* claim;
    unsigned ifindex;
    bool gateway;
    Kind kind;
};

TEST(Reach, OnlyPodsBehindALinkOfThisNodeAreLocal)
{
    for (const Row& row : {Row{"a neighbour on the uplink", 1, false, Kind::Remote},
                           Row{"behind a gateway of the uplink", 1, true, Kind::Remote},
                           Row{"a pod with a link of its own", 2, false, Kind::Local},
                           Row{"a pod on a bridge of pods", 3, false, Kind::Local},
                           Row{"a host on a bridge with a network card", 6, false, Kind::Remote},
                           Row{"behind a gateway in a pod", 2, true, Kind::Remote},
                           Row{"through a tunnel with Ethernet frames", 9, true, Kind::Remote},
                           Row{"through a tunnel without Ethernet frames", 10, false, Kind::Raw},
                           Row{"a host on the second network card", 11, false, Kind::Remote},
                           Row{"a link whose other end is here too", 13, false, Kind::Remote},
                           Row{"a tap with a route of its own, such as a VPN's", 14, false, Kind::Remote},
                           Row{"a pod behind a netkit", 15, false, Kind::Local},
                           Row{"by a link that has just come or gone", 12, false, Kind::Remote}}) {
        SCOPED_TRACE(row.claim);
        loader::Route route{.ifindex = row.ifindex, .gateway = {}, .source = ip("192.0.2.1"), .local = false};
        if (row.gateway)
            route.gateway = ip("192.0.2.254");
        const Reach reach = reach_by(route, links(), {1});
        EXPECT_EQ(reach.kind, row.kind);
        EXPECT_EQ(reach.ifindex, row.ifindex == 12 ? 0 : row.ifindex);
        EXPECT_EQ(reach.source, ip("192.0.2.1"));
    }
}

TEST(Reach, APodsLinkThatIsAnUplinkLeadsToRemoteBackends)
{
    const loader::Route route{.ifindex = 2, .gateway = {}, .source = ip("192.0.2.1"), .local = false};
    EXPECT_EQ(reach_by(route, links(), {1, 2}).kind, Kind::Remote);
}

TEST(Reach, AnAddressOfTheNodeIsItself)
{
    const loader::Route route{.ifindex = 1, .gateway = {}, .source = ip("192.0.2.1"), .local = true};
    EXPECT_EQ(reach_by(route, links(), {1}).kind, Kind::Self);
}

}  // namespace
}  // namespace sluice::apply
