// SPDX-License-Identifier: Apache-2.0
#include "agent/apply/host_ports.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

namespace sluice::apply {
namespace {

constexpr std::uint8_t kTcp = IPPROTO_TCP;
constexpr std::uint8_t kUdp = IPPROTO_UDP;
constexpr std::uint16_t kPort = 53;

IpAddress ip(const char* text) { return *IpAddress::parse(text); }
const IpAddress kNode = ip("192.0.2.1");
const IpAddress kNode6 = ip("2001:db8::1");
const IpAddress kVip = ip("203.0.113.1");
const IpAddress kLoopback = ip("127.0.0.1");

class HostPortsTest : public testing::Test {
protected:
    // The plan's listeners that lose `desired`'s ports to the programs that `sockets_` has.
    std::map<std::string, std::string> yield(Desired& desired) { return ports_.yield_taken(desired, {kNode, kNode6}); }

    std::vector<loader::HostSocket> sockets_;
    int looks_ = 0;
    HostPorts ports_{[this] {
        ++looks_;
        return sockets_;
    }};
};

Desired l4(std::uint8_t proto, const std::vector<IpAddress>& addresses)
{
    Desired desired;
    Group& group = desired.groups["d/g/l IPv4"];
    group.listener = "d/g/l";
    for (const IpAddress& address : addresses)
        group.keys.push_back({{address, kPort}, proto});
    return desired;
}

Desired web(const std::vector<IpAddress>& addresses)
{
    Desired desired;
    for (const IpAddress& address : addresses)
        desired.proxied[{{address, kPort}, kTcp}] = {"d/g/a", "d/g/b"};
    return desired;
}

struct Row {
    const char* claim;
    std::uint8_t proto;
    const char* bound;
    std::uint16_t port;
    const char* wanted;
    bool is_taken;
};

TEST_F(HostPortsTest, APortIsTakenWhereTheProgramsSocketHasIt)
{
    for (const Row& row : {Row{"the same address", kTcp, "192.0.2.1", kPort, "192.0.2.1", true},
                           Row{"another address", kTcp, "192.0.2.9", kPort, "192.0.2.1", false},
                           Row{"every IPv4 address", kTcp, "0.0.0.0", kPort, "192.0.2.1", true},
                           Row{"every IPv4 address, and IPv6 is wanted", kTcp, "0.0.0.0", kPort, "2001:db8::1", false},
                           Row{"every address", kTcp, "::", kPort, "192.0.2.1", true},
                           Row{"every address, and IPv6 is wanted", kTcp, "::", kPort, "2001:db8::1", true},
                           Row{"another port", kTcp, "::", 54, "192.0.2.1", false},
                           Row{"another protocol", kUdp, "::", kPort, "192.0.2.1", false},
                           Row{"an address of the Gateway alone", kTcp, "::", kPort, "203.0.113.1", false}}) {
        SCOPED_TRACE(row.claim);
        sockets_ = {{row.proto, {ip(row.bound), row.port}, 1}};
        ports_ = HostPorts([this] { return sockets_; });
        Desired desired = l4(kTcp, {ip(row.wanted)});
        const auto losers = yield(desired);
        EXPECT_EQ(losers.size(), row.is_taken ? 1U : 0U);
        EXPECT_EQ(desired.groups.size(), row.is_taken ? 0U : 1U);
    }
}

TEST_F(HostPortsTest, EveryListenerOfThePortLearnsWhy)
{
    sockets_ = {{kTcp, {{}, kPort}, 1}};
    Desired desired = web({kNode, kLoopback});
    const auto losers = yield(desired);
    EXPECT_TRUE(desired.proxied.empty());
    ASSERT_EQ(losers.size(), 2U);
    EXPECT_NE(losers.at("d/g/b").find("TCP port 53 of 192.0.2.1"), std::string::npos) << losers.at("d/g/b");
}

TEST_F(HostPortsTest, AProgramOnLoopbackKeepsThatAndTheListenerServesTheRest)
{
    sockets_ = {{kUdp, {kLoopback, kPort}, 1}};
    Desired desired = l4(kUdp, {kNode, kLoopback});
    EXPECT_TRUE(yield(desired).empty());
    ASSERT_EQ(desired.groups.size(), 1U);
    ASSERT_EQ(desired.groups.begin()->second.keys.size(), 1U);
    EXPECT_EQ(desired.groups.begin()->second.keys.front().address.address, kNode);
}

TEST_F(HostPortsTest, OneOfTwoAddressesStaysTheProgramsAtEveryLook)
{
    sockets_ = {{kUdp, {kNode, kPort}, 1}};
    for (int look = 0; look < 3; ++look) {
        Desired desired = l4(kUdp, {kNode, ip("192.0.2.9"), kLoopback});
        EXPECT_EQ(yield(desired).size(), 1U);
        EXPECT_EQ(desired.groups.begin()->second.keys.size(), 2U);
    }
}

TEST_F(HostPortsTest, WhatTheProgramLeavesIsServedAtTheNextLook)
{
    sockets_ = {{kTcp, {{}, kPort}, 1}};
    Desired desired = web({kNode});
    EXPECT_EQ(yield(desired).size(), 2U);
    sockets_.clear();
    desired = web({kNode});
    EXPECT_TRUE(yield(desired).empty());
    EXPECT_EQ(desired.proxied.size(), 1U);
}

TEST_F(HostPortsTest, WhatIsOursStaysOursUntilItIsGivenUp)
{
    Desired desired = l4(kUdp, {kNode});
    EXPECT_TRUE(yield(desired).empty());
    sockets_ = {{kUdp, {{}, kPort}, 1}};
    desired = l4(kUdp, {kNode});
    EXPECT_TRUE(yield(desired).empty());
    EXPECT_EQ(looks_, 1) << "who has all that he wants does not look";

    Desired without;
    EXPECT_TRUE(yield(without).empty());
    desired = l4(kUdp, {kNode});
    EXPECT_EQ(yield(desired).size(), 1U);
}

TEST_F(HostPortsTest, WhatAnEarlierAgentServedIsOurs)
{
    sockets_ = {{kTcp, {{}, kPort}, 1}};
    ports_.adopt({{kNode, kPort}, kTcp});
    Desired desired = web({kNode});
    EXPECT_TRUE(yield(desired).empty());
}

}  // namespace
}  // namespace sluice::apply
