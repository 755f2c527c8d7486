// SPDX-License-Identifier: Apache-2.0
// loader::Network on real links, addresses and routes, in a network namespace of the test's own.
#include "loader/network.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>

namespace sluice::loader {
namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

bool run(const std::string& command) { return std::system(command.c_str()) == 0; }

// Every test has a namespace with "wire" (192.0.2.1/24, 2001:db8::1/64; up) and its far end.
class NetworkOnRealLinks : public testing::Test {
protected:
    void SetUp() override
    {
        if (::geteuid() != 0)
            GTEST_SKIP() << "needs root: makes links";
        ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
        ASSERT_TRUE(run("ip link add wire type veth peer name far && ip link set wire up && ip link set far up && "
                        "ip addr add 192.0.2.1/24 dev wire && ip addr add 2001:db8::1/64 dev wire nodad"));
        wire_ = ::if_nametoindex("wire");
        auto made = Network::make();
        ASSERT_TRUE(made) << to_string(made.error());
        network_ = *std::move(made);
    }

    [[nodiscard]] Link link(const std::string& name) const
    {
        const auto all = network_->links();
        EXPECT_TRUE(all);
        const auto found = std::ranges::find(*all, name, &Link::name);
        return found == all->end() ? Link{} : *found;
    }
    [[nodiscard]] bool on_loopback(const IpAddress& address) const
    {
        const Link loopback = link("lo");
        return std::ranges::find(loopback.addresses, address) != loopback.addresses.end();
    }
    // Whether the descriptor becomes readable, and a change is what made it so.
    [[nodiscard]] bool changed() const
    {
        pollfd watched{.fd = network_->change_fd(), .events = POLLIN, .revents = 0};
        return ::poll(&watched, 1, 5000) == 1 && network_->drain_changes();
    }
    // Until the kernel says nothing more of what was done before.
    void settle() const
    {
        pollfd watched{.fd = network_->change_fd(), .events = POLLIN, .revents = 0};
        while (::poll(&watched, 1, 200) == 1)
            (void)network_->drain_changes();
    }

    // The kernel makes the local route of an IPv6 address in a work queue, a moment after the address.
    [[nodiscard]] bool becomes_local(const IpAddress& address) const
    {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        while (std::chrono::steady_clock::now() < deadline) {
            if (const auto route = network_->route_to(address); route && route->local)
                return true;
            pollfd watched{.fd = network_->change_fd(), .events = POLLIN, .revents = 0};
            (void)::poll(&watched, 1, 100);
            (void)network_->drain_changes();
        }
        return false;
    }

    std::unique_ptr<Network> network_;
    unsigned wire_ = 0;
};

TEST_F(NetworkOnRealLinks, LinksBearTheirStateAndAddressesButNoLinkLocalOnes)
{
    const Link wire = link("wire");
    EXPECT_EQ(wire.ifindex, wire_);
    EXPECT_TRUE(wire.up);
    EXPECT_FALSE(wire.loopback);
    auto addresses = wire.addresses;
    std::ranges::sort(addresses);
    auto wanted = std::vector{ip("192.0.2.1"), ip("2001:db8::1")};
    std::ranges::sort(wanted);
    EXPECT_EQ(addresses, wanted);
    EXPECT_TRUE(link("lo").loopback);
    ASSERT_TRUE(run("ip link set wire down"));
    EXPECT_FALSE(link("wire").up);
}

TEST_F(NetworkOnRealLinks, LinksBearTheirKindAndTheBridgeThatTheyAreAPortOf)
{
    ASSERT_TRUE(run("ip link add bridge0 type bridge && ip link set far master bridge0"));
    EXPECT_EQ(link("wire").kind, "veth");
    EXPECT_EQ(link("wire").master, 0U);
    EXPECT_FALSE(link("wire").leads_out) << "both ends are here";
    EXPECT_TRUE(link("wire").ethernet);
    EXPECT_EQ(link("bridge0").kind, "bridge");
    EXPECT_EQ(link("far").master, link("bridge0").ifindex);
    EXPECT_EQ(link("lo").kind, "");
    EXPECT_FALSE(link("lo").ethernet);
}

TEST_F(NetworkOnRealLinks, ARouteIsTheKernelsOwnChoice)
{
    ASSERT_TRUE(run("ip link set lo up && ip route add 198.51.100.0/24 via 192.0.2.9 && "
                    "ip route add 203.0.113.0/24 via inet6 2001:db8::9 dev wire && "
                    "ip route add 2001:db8:1::/64 via 2001:db8::9"));
    struct Row {
        const char* destination;
        bool local, gateway;
        const char* source;
    };
    for (const Row& row :
         {Row{"192.0.2.77", false, false, "192.0.2.1"}, Row{"198.51.100.5", false, true, "192.0.2.1"},
          Row{"203.0.113.5", false, true, "192.0.2.1"}, Row{"2001:db8::77", false, false, "2001:db8::1"},
          Row{"2001:db8:1::5", false, true, "2001:db8::1"}}) {
        SCOPED_TRACE(row.destination);
        const auto route = network_->route_to(ip(row.destination));
        ASSERT_TRUE(route) << to_string(route.error());
        EXPECT_EQ(route->ifindex, wire_);
        EXPECT_EQ(route->gateway.has_value(), row.gateway);
        EXPECT_EQ(route->local, row.local);
        EXPECT_EQ(route->source, ip(row.source));
    }
    for (const char* own : {"192.0.2.1", "2001:db8::1"})
        EXPECT_TRUE(becomes_local(ip(own))) << own;
}

TEST_F(NetworkOnRealLinks, NoRouteIsAnErrorAndTheNextQuestionIsAnswered)
{
    for (const char* destination : {"198.51.100.1", "2001:db8:9::1"}) {
        SCOPED_TRACE(destination);
        const auto route = network_->route_to(ip(destination));
        ASSERT_FALSE(route);
        EXPECT_TRUE(route.error().errno_value == ENETUNREACH || route.error().errno_value == EHOSTUNREACH)
            << to_string(route.error());
    }
    EXPECT_TRUE(network_->route_to(ip("192.0.2.77")));
}

TEST_F(NetworkOnRealLinks, UplinksAreTheLinksOfDefaultRoutesElseThoseWithAnAddress)
{
    ASSERT_TRUE(run("ip link add second type veth peer name second_far && ip link set second up && "
                    "ip link set second_far up && ip addr add 198.51.100.1/24 dev second"));
    const unsigned second = ::if_nametoindex("second");
    const auto without = network_->default_uplinks();
    ASSERT_TRUE(without);
    EXPECT_EQ(*without, (std::vector{std::min(wire_, second), std::max(wire_, second)})) << "far ends have no address";

    ASSERT_TRUE(run("ip route add default via 198.51.100.9 && ip -6 route add default via 2001:db8::9 && "
                    "ip route add default via 198.51.100.8 metric 50"));
    const auto of_routes = network_->default_uplinks();
    ASSERT_TRUE(of_routes);
    EXPECT_EQ(*of_routes, (std::vector{std::min(wire_, second), std::max(wire_, second)})) << "each once";

    ASSERT_TRUE(run("ip -6 route del default"));
    const auto one = network_->default_uplinks();
    ASSERT_TRUE(one);
    EXPECT_EQ(*one, std::vector{second});
}

TEST_F(NetworkOnRealLinks, ALocalAddressIsAddedOnceAndRemovedOnce)
{
    for (const char* text : {"203.0.113.10", "2001:db8:ffff::10"}) {
        SCOPED_TRACE(text);
        const auto added = network_->add_local_address(ip(text));
        ASSERT_TRUE(added) << to_string(added.error());
        EXPECT_EQ(*added, Network::Local::Added);
        EXPECT_TRUE(on_loopback(ip(text)));
        EXPECT_TRUE(link("lo").up) << "of use only on a link that is up";
        EXPECT_TRUE(becomes_local(ip(text)));

        const auto again = network_->add_local_address(ip(text));
        ASSERT_TRUE(again) << to_string(again.error());
        EXPECT_EQ(*again, Network::Local::OfAgent);

        EXPECT_TRUE(network_->remove_local_address(ip(text)));
        EXPECT_FALSE(on_loopback(ip(text)));
        EXPECT_TRUE(network_->remove_local_address(ip(text))) << "absent is no error";

        ASSERT_TRUE(run(std::string("ip addr add ") + text + " dev lo"));
        const auto theirs = network_->add_local_address(ip(text));
        ASSERT_TRUE(theirs) << to_string(theirs.error());
        EXPECT_EQ(*theirs, Network::Local::OfOperator);
    }
}

TEST_F(NetworkOnRealLinks, RemovalLeavesTheSameAddressOfAnotherLinkAlone)
{
    ASSERT_TRUE(network_->add_local_address(ip("203.0.113.10")));
    EXPECT_TRUE(network_->remove_local_address(ip("192.0.2.1")));
    EXPECT_TRUE(network_->remove_local_address(ip("2001:db8::1")));
    EXPECT_EQ(link("wire").addresses.size(), 2U);
    EXPECT_TRUE(on_loopback(ip("203.0.113.10")));
}

TEST_F(NetworkOnRealLinks, EveryKindOfChangeIsToldOnce)
{
    settle();
    EXPECT_FALSE(network_->drain_changes()) << "nothing happened";
    for (const char* change :
         {"ip link add more type veth peer name more_far", "ip link set more up",
          "ip addr add 198.51.100.1/24 dev wire", "ip addr add 2001:db8:5::1/64 dev wire nodad",
          "ip route add 203.0.113.0/24 dev wire", "ip -6 route add 2001:db8:6::/64 dev wire",
          "ip route del 203.0.113.0/24", "ip addr del 198.51.100.1/24 dev wire", "ip link del more"}) {
        SCOPED_TRACE(change);
        ASSERT_TRUE(run(change));
        EXPECT_TRUE(changed());
        settle();
        EXPECT_FALSE(network_->drain_changes());
    }
}

TEST_F(NetworkOnRealLinks, ChangesThatWereLostAreAChangeTooAndTheWatchGoesOn)
{
    settle();
    // More than the socket's buffer takes: the kernel drops what is over, and says ENOBUFS.
    ASSERT_TRUE(run("for i in $(seq 0 3999); do echo route add 10.$((i / 250)).$((i % 250)).0/24 dev wire; done | "
                    "ip -batch -"));
    EXPECT_TRUE(changed());
    settle();
    ASSERT_TRUE(run("ip link set wire down"));
    EXPECT_TRUE(changed());
}

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

TEST_F(NetworkOnRealLinks, AnAddressWithALifetimeGoesByItselfUnlessItIsExtended)
{
    for (const char* text : {"203.0.113.10", "2001:db8:1::10"}) {
        SCOPED_TRACE(text);
        ASSERT_TRUE(network_->add_local_address(ip(text), 100));
        EXPECT_NEAR(lifetime_s(text), 100, 2);
        ASSERT_TRUE(network_->extend_local_address(ip(text), 500));
        EXPECT_NEAR(lifetime_s(text), 500, 2);
        ASSERT_TRUE(network_->extend_local_address(ip(text), std::nullopt));
        EXPECT_EQ(lifetime_s(text), -1);
        ASSERT_TRUE(network_->extend_local_address(ip(text), 1));
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    const auto present = [&] { return on_loopback(ip("203.0.113.10")) || on_loopback(ip("2001:db8:1::10")); };
    while (present() && std::chrono::steady_clock::now() < deadline)
        (void)::poll(nullptr, 0, 50);
    EXPECT_FALSE(present());
    ASSERT_TRUE(network_->extend_local_address(ip("203.0.113.10"), 100)) << "gone: it is added";
    EXPECT_NEAR(lifetime_s("203.0.113.10"), 100, 2);
}

TEST_F(NetworkOnRealLinks, WhatIsDoneToAddressesOfLoIsNoChange)
{
    ASSERT_TRUE(network_->add_local_address(ip("203.0.113.10"), 100));
    ASSERT_TRUE(network_->add_local_address(ip("2001:db8:1::10"), 100));
    settle();
    ASSERT_TRUE(network_->extend_local_address(ip("203.0.113.10"), 500));
    ASSERT_TRUE(network_->extend_local_address(ip("2001:db8:1::10"), 500));
    // In order: what came of the addresses of lo is read before what comes of this.
    const auto reads_a_change = [&] {
        pollfd watched{.fd = network_->change_fd(), .events = POLLIN, .revents = 0};
        return ::poll(&watched, 1, 5000) == 1 && network_->drain_changes();
    };
    EXPECT_FALSE(reads_a_change()) << "the extensions count as changes";
    ASSERT_TRUE(run("ip addr add 192.0.2.50/24 dev wire"));
    bool changed_at_last = false;
    for (int i = 0; i < 3 && !changed_at_last; ++i)
        changed_at_last = reads_a_change();
    EXPECT_TRUE(changed_at_last);
}

}  // namespace
}  // namespace sluice::loader
