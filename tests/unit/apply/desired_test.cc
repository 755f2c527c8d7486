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
    const Desired desired = make_desired(plan_of({ip("203.0.113.1")}, {backend(1, {"192.0.2.1"})}), {},
                                         [](const IpAddress&) { return Reach{Reach::Kind::Self, 0, {}}; });
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
    Desired desired = make_desired(plan_of({ip("192.0.2.1"), ip("192.0.2.2")}, {backend(1, {"198.51.100.1"})}),
                                   {ip("192.0.2.1")}, remote);
    leave_to_others(desired, {ip("192.0.2.2")});
    ASSERT_EQ(desired.groups.at("d/g/l IPv4").keys.size(), 1U);
    EXPECT_EQ(desired.groups.at("d/g/l IPv4").keys.front().address.address, ip("192.0.2.1"));
    leave_to_others(desired, {ip("192.0.2.1")});
    EXPECT_TRUE(desired.groups.empty());
    EXPECT_TRUE(desired.backends.empty());
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
