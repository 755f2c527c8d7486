// SPDX-License-Identifier: Apache-2.0
// control::LocalAddresses and announce() on real links, in a network namespace of the test's own.
#include "agent/control/local_addresses.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace sluice::control {
namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

bool run(const std::string& command) { return std::system(command.c_str()) == 0; }

// Seconds that the kernel leaves the address on lo; -1 for ever, 0 when it is not there.
int lifetime_s(const char* address)
{
    const std::string command = std::string("ip -o addr show dev lo to ") + address +
                                " | sed -n 's/.*valid_lft \\(forever\\|[0-9]*\\).*/\\1/p'";
    FILE* out = ::popen(command.c_str(), "r");
    char text[32] = {};
    const std::size_t size = out == nullptr ? 0 : ::fread(text, 1, sizeof text - 1, out);
    if (out != nullptr)
        ::pclose(out);
    return size == 0 ? 0 : text[0] == 'f' ? -1 : std::atoi(text);
}

// "one" and "two" are links, "one_far" and "two_far" their far ends.
class LocalAddressesOnRealLinks : public testing::Test {
protected:
    void SetUp() override
    {
        if (::geteuid() != 0)
            GTEST_SKIP() << "needs root: makes links";
        ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
        ASSERT_TRUE(run("ip link add one type veth peer name one_far && ip link add two type veth peer name two_far && "
                        "for l in lo one one_far two two_far; do ip link set $l up || exit 1; done"));
        auto made = loader::Network::make();
        ASSERT_TRUE(made) << to_string(made.error());
        network_ = *std::move(made);
    }

    std::unique_ptr<loader::Network> network_;
};

TEST_F(LocalAddressesOnRealLinks, AnOwnedAddressGoesWithItsAgentAndAnotherStays)
{
    LocalAddresses addresses(*network_);
    const std::vector<IpAddress> wanted = {ip("10.0.0.5"), ip("10.0.0.6")};
    EXPECT_TRUE(addresses.add(wanted, {ip("10.0.0.5")}).empty());
    EXPECT_EQ(addresses.take_added(), wanted);
    EXPECT_TRUE(addresses.has_owned());
    EXPECT_EQ(lifetime_s("10.0.0.6"), -1);
    EXPECT_GT(lifetime_s("10.0.0.5"), 0);
    EXPECT_LE(lifetime_s("10.0.0.5"), static_cast<int>(kOwnedLifetimeS));

    ASSERT_TRUE(run("ip addr del 10.0.0.5/32 dev lo"));
    addresses.extend_owned();
    EXPECT_GT(lifetime_s("10.0.0.5"), 0) << "dropped because the agent was late, and brought back";

    EXPECT_TRUE(addresses.add(wanted, {ip("10.0.0.6")}).empty());
    EXPECT_EQ(lifetime_s("10.0.0.5"), -1) << "owned no more";
    EXPECT_GT(lifetime_s("10.0.0.6"), 0) << "owned now";
    EXPECT_TRUE(addresses.take_added().empty());

    addresses.remove_all();
    EXPECT_EQ(lifetime_s("10.0.0.5"), 0);
    EXPECT_EQ(lifetime_s("10.0.0.6"), 0);
    EXPECT_FALSE(addresses.has_owned());
}

TEST_F(LocalAddressesOnRealLinks, AnAddressThatTheOperatorPutThereIsLeftAlone)
{
    ASSERT_TRUE(run("ip addr add 10.0.0.5/32 dev lo"));
    LocalAddresses addresses(*network_);
    EXPECT_TRUE(addresses.add({ip("10.0.0.5")}, {ip("10.0.0.5")}).empty());
    addresses.extend_owned();
    EXPECT_EQ(lifetime_s("10.0.0.5"), -1);
    EXPECT_TRUE(addresses.take_added().empty());
    addresses.remove_all();
    EXPECT_EQ(lifetime_s("10.0.0.5"), -1);
}

TEST_F(LocalAddressesOnRealLinks, OneOfAnEarlierAgentIsTakenOverAndAnnouncedAgain)
{
    ASSERT_TRUE(run("ip addr add 10.0.0.5/32 dev lo valid_lft 100 preferred_lft 100"));
    LocalAddresses addresses(*network_);
    EXPECT_TRUE(addresses.add({ip("10.0.0.5")}, {ip("10.0.0.5")}).empty());
    EXPECT_LE(lifetime_s("10.0.0.5"), static_cast<int>(kOwnedLifetimeS));
    EXPECT_EQ(addresses.take_added(), std::vector<IpAddress>{ip("10.0.0.5")});
    addresses.remove_all();
    EXPECT_EQ(lifetime_s("10.0.0.5"), 0);
}

TEST_F(LocalAddressesOnRealLinks, OneThatAnEarlierAgentAddedForEverIsOurs)
{
    const std::vector<IpAddress> wanted = {ip("10.0.0.5"), ip("10.0.0.6"), ip("2001:db8::5")};
    {
        LocalAddresses before(*network_);
        EXPECT_TRUE(before.add({ip("10.0.0.5"), ip("2001:db8::5")}).empty());
    }
    ASSERT_TRUE(run("ip addr add 10.0.0.6/32 dev lo"));
    LocalAddresses after(*network_);
    EXPECT_TRUE(after.add(wanted).empty());
    after.remove_all();
    EXPECT_EQ(lifetime_s("10.0.0.5"), 0);
    EXPECT_EQ(lifetime_s("2001:db8::5"), 0);
    EXPECT_EQ(lifetime_s("10.0.0.6"), -1) << "the operator's";
}

TEST_F(LocalAddressesOnRealLinks, OneWithALifetimeIsAnEarlierAgents)
{
    ASSERT_TRUE(
        run("ip addr add 10.0.0.5/32 dev lo valid_lft 100 preferred_lft 100 && ip addr add 10.0.0.6/32 dev lo && "
            "ip addr add 2001:db8::5/128 dev lo valid_lft 100 preferred_lft 100"));
    LocalAddresses addresses(*network_);
    const std::vector<IpAddress> wanted = {ip("10.0.0.5"), ip("10.0.0.6"), ip("2001:db8::5")};
    EXPECT_TRUE(addresses.add(wanted, {ip("10.0.0.5"), ip("2001:db8::5")}).empty());
    EXPECT_LE(lifetime_s("10.0.0.5"), static_cast<int>(kOwnedLifetimeS));
    EXPECT_LE(lifetime_s("2001:db8::5"), static_cast<int>(kOwnedLifetimeS));
    addresses.extend_owned(50);
    EXPECT_GT(lifetime_s("10.0.0.5"), static_cast<int>(kOwnedLifetimeS));
    EXPECT_EQ(lifetime_s("10.0.0.6"), -1);
    EXPECT_EQ(addresses.take_added(), (std::vector<IpAddress>{ip("10.0.0.5"), ip("2001:db8::5")})) << "to be announced";
    addresses.remove({ip("10.0.0.5"), ip("2001:db8::5")});
    EXPECT_EQ(lifetime_s("10.0.0.5"), 0);
    EXPECT_EQ(lifetime_s("2001:db8::5"), 0);
    addresses.remove_all();
    EXPECT_EQ(lifetime_s("10.0.0.6"), -1) << "the operator's";
}

// How many ARP frames reach the far end now.
class Ear {
public:
    explicit Ear(const char* link) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ARP)))
    {
        sockaddr_ll on{};
        on.sll_family = AF_PACKET;
        on.sll_protocol = htons(ETH_P_ARP);
        on.sll_ifindex = static_cast<int>(::if_nametoindex(link));
        EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&on), sizeof on), 0);
    }
    [[nodiscard]] int count(int timeout_ms) const
    {
        int frames = 0;
        pollfd watched{.fd = fd_.get(), .events = POLLIN, .revents = 0};
        char frame[128];
        while (::poll(&watched, 1, timeout_ms) == 1)
            frames += ::recv(fd_.get(), frame, sizeof frame, 0) > 0 ? 1 : 0;
        return frames;
    }

private:
    UniqueFd fd_;
};

TEST_F(LocalAddressesOnRealLinks, WhatWasAddedIsAnnouncedWhereThePlanSays)
{
    plan::Plan plan;
    const auto pool = [&](const char* address, const char* owner, std::vector<std::string> interfaces) {
        plan.pool_addresses.push_back({.address = ip(address),
                                       .gateway = "default/gw",
                                       .owner = owner,
                                       .announcement = model::Announcement::L2,
                                       .interfaces = std::move(interfaces)});
    };
    pool("10.0.0.4", "", {});            // of every node
    pool("10.0.0.5", "here", {});        // on the uplinks
    pool("10.0.0.6", "here", {"two"});   // where the config says
    pool("10.0.0.7", "elsewhere", {});   // another node's
    pool("10.0.0.8", "here", {"none"});  // on a link that this node lacks
    plan.addresses = {ip("10.0.0.4"), ip("10.0.0.5"), ip("10.0.0.6"), ip("10.0.0.8")};
    EXPECT_EQ(owned_addresses(plan), (std::vector<IpAddress>{ip("10.0.0.5"), ip("10.0.0.6"), ip("10.0.0.8")}));

    const auto links = network_->links();
    ASSERT_TRUE(links);
    auto announcer = loader::Announcer::make();
    ASSERT_TRUE(announcer) << to_string(announcer.error());
    const Ear one("one_far");
    const Ear two("two_far");
    const std::vector<unsigned> uplinks = {::if_nametoindex("one")};
    struct Row {
        const char* added;
        int on_one, on_two;  // frames: a request and a reply
    };
    for (const Row& row : {Row{"10.0.0.4", 0, 0}, Row{"10.0.0.5", 2, 0}, Row{"10.0.0.6", 0, 2}, Row{"10.0.0.7", 0, 0},
                           Row{"10.0.0.8", 0, 0}, Row{"10.0.0.9", 0, 0}}) {
        SCOPED_TRACE(row.added);
        announce(**announcer, {ip(row.added)}, plan, *links, uplinks);
        EXPECT_EQ(one.count(100), row.on_one);
        EXPECT_EQ(two.count(100), row.on_two);
        (*announcer)->withdraw(ip(row.added));
    }
    announce(**announcer, {ip("10.0.0.5")}, plan, *links, uplinks);
    EXPECT_EQ(one.count(100), 2);
    plan.pool_addresses[1].owner = "elsewhere";
    std::erase(plan.addresses, ip("10.0.0.5"));
    announce(**announcer, {}, plan, *links, uplinks);
    EXPECT_TRUE((*announcer)->send_due());
    pollfd due{.fd = (*announcer)->due_fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&due, 1, 1500), 0) << "there is nothing to repeat";
    EXPECT_EQ(one.count(100), 0) << "another node's now: not announced again";
}

}  // namespace
}  // namespace sluice::control
