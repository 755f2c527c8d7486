// SPDX-License-Identifier: Apache-2.0
#include "agent/apply/desired.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

namespace sluice::apply {
namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

plan::Plan plan_of(std::vector<IpAddress> addresses, std::vector<plan::Backend> backends)
{
    plan::Plan plan;
    plan.l4.push_back({.name = "d/g/l",
                       .addresses = std::move(addresses),
                       .port = 80,
                       .protocol = plan::Protocol::Tcp,
                       .route = "d/r",
                       .backends = std::move(backends)});
    return plan;
}

plan::Backend backend(std::uint32_t weight, const std::vector<const char*>& endpoints, bool valid = true)
{
    plan::Backend result{.name = "d/s:80", .weight = weight, .valid = valid};
    for (const char* endpoint : endpoints)
        result.endpoints.push_back({ip(endpoint), 8080});
    return result;
}

Reach remote(const IpAddress&) { return {}; }
Reach self(const IpAddress&) { return {Reach::Kind::Self, 0, {}}; }

Desired make_desired(const plan::Plan& plan, const std::vector<IpAddress>& node_addresses, const Resolver& resolve)
{
    Desired desired = make_listeners(plan, node_addresses);
    add_backends(desired, plan, resolve);
    return desired;
}

TEST(Desired, AWeightIsSplitEvenlyOverItsEndpoints)
{
    const Desired desired =
        make_desired(plan_of({ip("203.0.113.1")}, {backend(1, {"198.51.100.1", "198.51.100.2", "198.51.100.3"}),
                                                   backend(3, {"198.51.100.4"})}),
                     {}, remote);
    const auto& shares = desired.groups.at("d/g/l IPv4").shares;
    ASSERT_EQ(shares.size(), 4U);
    EXPECT_EQ(shares[0].weight * 9, shares[3].weight);
}

TEST(Desired, AnInvalidBackendAndOneWithoutEndpointsAreRefusedShares)
{
    const Desired desired = make_desired(
        plan_of({ip("203.0.113.1")}, {backend(1, {}, false), backend(1, {}), backend(2, {"198.51.100.1"})}), {},
        remote);
    const auto& shares = desired.groups.at("d/g/l IPv4").shares;
    ASSERT_EQ(shares.size(), 2U);
    EXPECT_TRUE(shares[1].refused);
    EXPECT_EQ(shares[0].weight, shares[1].weight);
}

TEST(Desired, EachFamilyHasARingOfItsOwn)
{
    const Desired desired = make_desired(
        plan_of({ip("203.0.113.1"), ip("2001:db8::1")}, {backend(1, {"198.51.100.1", "2001:db8::9"})}), {}, remote);
    ASSERT_EQ(desired.groups.size(), 2U);
    for (const auto& [name, group] : desired.groups) {
        ASSERT_EQ(group.shares.size(), 1U);
        EXPECT_EQ(group.shares[0].backend.endpoint.address.is_v4(), group.keys[0].address.address.is_v4());
    }
}

TEST(Desired, AFamilyWithoutEndpointsIsRelayed)
{
    const Desired desired =
        make_desired(plan_of({ip("203.0.113.1"), ip("2001:db8::1")}, {backend(1, {"198.51.100.1"})}), {}, remote);
    EXPECT_EQ(desired.groups.at("d/g/l IPv4").relayed, "");
    EXPECT_NE(desired.groups.at("d/g/l IPv6").relayed, "");
    EXPECT_FALSE(desired.groups.at("d/g/l IPv6").only_loopback);
}

TEST(Desired, WithoutAddressesTheNodesOwnAndLoopbackAreServed)
{
    const Desired desired = make_desired(plan_of({}, {backend(1, {"198.51.100.1"})}), {ip("192.0.2.1")}, remote);
    EXPECT_EQ(desired.groups.at("d/g/l IPv4").keys.size(), 2U);
    EXPECT_TRUE(desired.groups.at("d/g/l IPv6").only_loopback);
}

TEST(Desired, ABackendOnTheNodeItselfIsRelayedByTheProxy)
{
    const Desired desired = make_desired(plan_of({ip("203.0.113.1")}, {backend(1, {"192.0.2.1"})}), {}, self);
    EXPECT_NE(desired.groups.at("d/g/l IPv4").relayed, "");
    EXPECT_TRUE(desired.backends.empty());
}

TEST(Desired, ABackendBehindALinkWithoutEthernetHeadersIsRelayedByTheProxy)
{
    const Desired desired = make_desired(plan_of({ip("203.0.113.1")}, {backend(1, {"198.51.100.1"})}), {},
                                         [](const IpAddress&) { return Reach{Reach::Kind::Raw, 7, {}}; });
    EXPECT_NE(desired.groups.at("d/g/l IPv4").relayed.find("198.51.100.1:8080"), std::string::npos);
    EXPECT_TRUE(desired.backends.empty());
}

TEST(Desired, AddressesOfOtherNodesAreLeftToThem)
{
    const plan::Plan plan = plan_of({ip("192.0.2.1"), ip("192.0.2.2")}, {backend(1, {"198.51.100.1"})});
    Desired desired = make_listeners(plan, {ip("192.0.2.1")});
    leave_to_others(desired, {ip("192.0.2.2")});
    ASSERT_EQ(desired.groups.at("d/g/l IPv4").keys.size(), 1U);
    EXPECT_EQ(desired.groups.at("d/g/l IPv4").keys.front().address.address, ip("192.0.2.1"));
    leave_to_others(desired, {ip("192.0.2.1")});
    EXPECT_TRUE(desired.groups.empty());
    add_backends(desired, plan, remote);
    EXPECT_TRUE(desired.groups.empty());
    EXPECT_TRUE(desired.backends.empty());
}

plan::HttpPort http_port(const IpAddress& address, std::uint16_t port)
{
    return {.addresses = {address}, .port = port, .tls = false, .listeners = {}};
}

// What is connected to there is this node's own listening socket, whose relay would connect to it again.
TEST(Desired, AnEndpointThatAListenerOfThisNodeServesIsRefusedAndTheOthersServe)
{
    const IpAddress vip = ip("203.0.113.1");
    const auto reach = [&](const IpAddress& address) { return address == vip ? self(address) : remote(address); };
    plan::Plan plan = plan_of({vip}, {backend(1, {"203.0.113.1", "198.51.100.1"})});
    plan.l4.front().port = 8080;
    const Desired desired = make_desired(plan, {}, reach);
    const Group& group = desired.groups.at("d/g/l IPv4");
    EXPECT_EQ(group.relayed, "");
    EXPECT_NE(group.refused.find("203.0.113.1:8080"), std::string::npos);
    ASSERT_EQ(group.shares.size(), 2U);
    EXPECT_FALSE(group.shares[0].refused);
    EXPECT_TRUE(group.shares[1].refused);
    EXPECT_EQ(group.shares[0].weight, group.shares[1].weight);
    EXPECT_EQ(desired.backends.size(), 1U);

    plan.l4.front().port = 80;
    plan.http.push_back(http_port(vip, 8080));
    EXPECT_NE(make_desired(plan, {}, reach).groups.at("d/g/l IPv4").refused, "") << "an HTTP listener's";
}

TEST(Desired, AnEndpointThatNoListenerOfThisNodeServesIsNotRefused)
{
    const IpAddress vip = ip("203.0.113.1");
    const plan::Plan own = plan_of({vip}, {backend(1, {"203.0.113.1"})});
    const Desired another_port = make_desired(own, {}, self);
    EXPECT_EQ(another_port.groups.at("d/g/l IPv4").refused, "");
    EXPECT_NE(another_port.groups.at("d/g/l IPv4").relayed, "") << "a program of the node has that port";

    plan::Plan other_protocol = own;
    other_protocol.l4.front().protocol = plan::Protocol::Udp;
    other_protocol.http.push_back(http_port(vip, 8080));
    EXPECT_EQ(make_desired(other_protocol, {}, self).groups.at("d/g/l IPv4").refused, "");

    plan::Plan same_port = own;
    same_port.l4.front().port = 8080;
    EXPECT_EQ(make_desired(same_port, {}, remote).groups.at("d/g/l IPv4").refused, "")
        << "another node has the address";

    plan::Plan of_program = plan_of({}, {backend(1, {"127.0.0.1"})});
    of_program.l4.front().port = 8080;
    Desired desired = make_listeners(of_program, {ip("192.0.2.1")});
    std::erase(desired.groups.at("d/g/l IPv4").keys, ListenerKey{{ip("127.0.0.1"), 8080}, IPPROTO_TCP});
    add_backends(desired, of_program, self);
    EXPECT_EQ(desired.groups.at("d/g/l IPv4").refused, "") << "the port that was yielded to a program";
}

TEST(Desired, APortIsProxiedForAllItsListeners)
{
    plan::Plan plan;
    plan.http.push_back({.addresses = {}, .port = 443, .tls = true, .listeners = {}});
    plan.http.front().listeners.push_back({.name = "d/g/a", .hostname = "", .tls = {}, .hosts = {}, .rules = {}});
    plan.tls.push_back({.addresses = {}, .port = 443, .hosts = {}});
    plan.tls.front().hosts.push_back(
        {.listener = "d/g/b", .hostname = "", .route = "", .termination = {}, .backends = {}});
    const Desired desired = make_desired(plan, {ip("192.0.2.1")}, remote);
    ASSERT_EQ(desired.proxied.size(), 3U) << "the node's address and both loopback ones";
    for (const auto& [key, listeners] : desired.proxied)
        EXPECT_EQ(listeners, (std::set<std::string>{"d/g/a", "d/g/b"}));
    EXPECT_EQ(keys_of(desired).size(), 3U);
}

}  // namespace
}  // namespace sluice::apply
