// SPDX-License-Identifier: Apache-2.0
// Which addresses Gateways get in a cluster: out of pools, by value, by what their status says, and from the nodes.
#include <map>

#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

// A cluster of the nodes "a" (this one, the leader) and "b" whose class has a pool of these ranges.
struct Cluster : World {
    explicit Cluster(const std::vector<std::string>& ranges)
    {
        if (!ranges.empty()) {
            add(config(ranges));
            objects.gateway_classes.edit(0).parameters_ref =
                model::ParametersReference{"sluice.dev", "NodeGatewayConfig", "pools", {}};
        }
        facts.name = "a";
        facts.cluster = true;
        facts.is_leader = true;
        facts.members = {"a", "b"};
        add(node("a", {"192.0.2.1"})).add(node("b", {"192.0.2.2", "2001:db8::2"}));
    }
    // A TCP Gateway; an empty string among `wanted` is an entry with no value.
    Cluster& with(const std::string& name, std::vector<std::string> wanted = {}, std::vector<std::string> held = {},
                  const std::string& created = "")
    {
        model::Gateway one = gateway(name, {listener("l", "TCP", 80)}, std::move(wanted), created);
        for (const std::string& address : held)
            one.status_addresses.push_back(ip(address.c_str()));
        add(one);
        return *this;
    }
};

// The status addresses of a Gateway with commas between.
std::string addresses_of(const Plan& plan, const std::string& name)
{
    std::string text;
    if (const auto* status = find_status(plan, "Gateway", name))
        for (const model::GatewayAddress& address : status->addresses)
            text += (text.empty() ? "" : ",") + address.value;
    return text;
}

struct Wanted {
    const char* name;
    std::vector<std::string> wanted;
    std::vector<std::string> held;
    const char* addresses;
    const char* programmed;
};

struct Row {
    const char* claim;
    std::vector<std::string> ranges;
    std::vector<Wanted> gateways;  // by age
};

const char* kGood = "True/Programmed";
const char* kNotUsable = "False/AddressNotUsable";
const char* kNotAssigned = "False/AddressNotAssigned";

const Row kRows[] = {
    {"the first addresses go to the oldest",
     {"10.0.0.5-10.0.0.9"},
     {{"z", {}, {}, "10.0.0.5", kGood}, {"y", {}, {}, "10.0.0.6", kGood}}},
    {"both ends of a range are given",
     {"10.0.0.5-10.0.0.6"},
     {{"z", {}, {}, "10.0.0.5", kGood}, {"y", {}, {}, "10.0.0.6", kGood}, {"x", {}, {}, "", kNotAssigned}}},
    {"the next range follows, over a byte's end",
     {"10.0.0.255-10.0.1.0", "10.9.0.1"},
     {{"z", {}, {}, "10.0.0.255", kGood}, {"y", {}, {}, "10.0.1.0", kGood}, {"x", {}, {}, "10.9.0.1", kGood}}},
    {"a pool of both families gives one of each",
     {"2001:db8:1::1-2001:db8:1::9", "10.0.0.5-10.0.0.9"},
     {{"z", {}, {}, "10.0.0.5,2001:db8:1::1", kGood}}},
    {"one family is enough where nothing is asked for",
     {"2001:db8:1::1-2001:db8:1::9", "10.0.0.5"},
     {{"z", {}, {}, "10.0.0.5,2001:db8:1::1", kGood}, {"y", {}, {}, "2001:db8:1::2", kGood}}},
    {"the last address of all ends a range",
     {"2001:db8:1:ffff:ffff:ffff:ffff:ffff"},
     {{"z", {}, {}, "2001:db8:1:ffff:ffff:ffff:ffff:ffff", kGood}, {"y", {}, {}, "", kNotAssigned}}},
    {"a huge range costs nothing",
     {"2001:db8:1::-2001:db8:1:ffff:ffff:ffff:ffff:ffff"},
     {{"z", {}, {}, "2001:db8:1::", kGood}, {"y", {}, {}, "2001:db8:1::1", kGood}}},
    {"an empty value is any address", {"10.0.0.5-10.0.0.9", "2001:db8:1::1"}, {{"z", {""}, {}, "10.0.0.5", kGood}}},
    {"two empty values are one of each family",
     {"10.0.0.5-10.0.0.9", "2001:db8:1::1"},
     {{"z", {"", ""}, {}, "10.0.0.5,2001:db8:1::1", kGood}}},
    {"two empty values are two of the only family",
     {"10.0.0.5-10.0.0.9"},
     {{"z", {"", ""}, {}, "10.0.0.5,10.0.0.6", kGood}}},
    {"an empty value beside one of IPv4 is one of IPv6",
     {"10.0.0.5-10.0.0.9", "2001:db8:1::1"},
     {{"z", {"", "10.0.0.7"}, {}, "2001:db8:1::1,10.0.0.7", kGood}}},
    {"an empty value takes the other family when one is used up",
     {"10.0.0.5", "2001:db8:1::1"},
     {{"z", {""}, {}, "10.0.0.5", kGood}, {"y", {""}, {}, "2001:db8:1::1", kGood}}},
    {"an empty value that nothing is left for serves on the rest",
     {"10.0.0.5"},
     {{"z", {"", ""}, {}, "10.0.0.5", kNotAssigned}}},
    {"a value in the pool is had", {"10.0.0.5-10.0.0.9"}, {{"z", {"10.0.0.7"}, {}, "10.0.0.7", kGood}}},
    {"a value goes before any address, however young",
     {"10.0.0.5-10.0.0.9"},
     {{"z", {}, {}, "10.0.0.6", kGood}, {"y", {"10.0.0.5"}, {}, "10.0.0.5", kGood}}},
    {"a value outside the pool is not usable", {"10.0.0.5-10.0.0.9"}, {{"z", {"10.0.0.10"}, {}, "", kNotUsable}}},
    {"a value that is no address of a host is not usable", {"10.0.0.5"}, {{"z", {"127.0.0.1"}, {}, "", kNotUsable}}},
    {"usable values serve beside others",
     {"10.0.0.5-10.0.0.9"},
     {{"z", {"10.0.0.5", "192.0.2.99"}, {}, "10.0.0.5", kNotUsable}}},
    {"of two who want a value the older has it",
     {"10.0.0.5-10.0.0.9"},
     {{"z", {"10.0.0.7"}, {}, "10.0.0.7", kGood}, {"y", {"10.0.0.7"}, {}, "", kNotUsable}}},
    {"who has an address keeps it from who is older",
     {"10.0.0.5-10.0.0.9"},
     {{"z", {"10.0.0.7"}, {}, "", kNotUsable}, {"y", {}, {"10.0.0.7"}, "10.0.0.7", kGood}}},
    {"of two who have an address by their status the older keeps it",
     {"10.0.0.5-10.0.0.9"},
     {{"z", {}, {"10.0.0.7"}, "10.0.0.7", kGood}, {"y", {}, {"10.0.0.7"}, "10.0.0.5", kGood}}},
    {"what the status says stays, whatever comes",
     {"10.0.0.5-10.0.0.9"},
     {{"z", {}, {}, "10.0.0.5", kGood}, {"y", {}, {"10.0.0.9"}, "10.0.0.9", kGood}}},
    {"a second family that comes later is added",
     {"10.0.0.5-10.0.0.9", "2001:db8:1::1"},
     {{"z", {}, {"10.0.0.9"}, "10.0.0.9,2001:db8:1::1", kGood}}},
    {"what the status says beyond what is wanted is given up",
     {"10.0.0.5-10.0.0.9"},
     {{"z", {}, {"10.0.0.9", "10.0.0.8"}, "10.0.0.9", kGood}}},
    {"an empty value keeps what the status says, of whatever family",
     {"10.0.0.5-10.0.0.9", "2001:db8:1::1"},
     {{"z", {""}, {"2001:db8:1::1"}, "2001:db8:1::1", kGood}}},
    {"another value than the status says is had",
     {"10.0.0.5-10.0.0.9"},
     {{"z", {"10.0.0.6"}, {"10.0.0.5"}, "10.0.0.6", kGood}}},
    {"an address that its pool lost is replaced", {"10.0.0.5-10.0.0.9"}, {{"z", {}, {"10.1.0.1"}, "10.0.0.5", kGood}}},
    {"an address that its pool lost is given up when there is no other",
     {"10.0.0.5"},
     {{"z", {}, {"10.0.0.5"}, "10.0.0.5", kGood}, {"y", {}, {"10.1.0.1"}, "", kNotAssigned}}},
    {"a value that its pool lost is not usable", {"10.0.0.5"}, {{"z", {"10.1.0.1"}, {"10.1.0.1"}, "", kNotUsable}}},
    {"nodes' addresses in a pool are not given", {"192.0.2.1-192.0.2.3"}, {{"z", {}, {}, "192.0.2.3", kGood}}},
    {"nodes' addresses in a pool are not kept",
     {"192.0.2.1-192.0.2.3"},
     {{"z", {}, {"192.0.2.2"}, "192.0.2.3", kGood}}},
    {"nodes' addresses in a pool are not had by value",
     {"192.0.2.1-192.0.2.3"},
     {{"z", {"192.0.2.2"}, {}, "", kNotUsable}}},
    {"without a pool a node's address is had", {}, {{"z", {"192.0.2.2"}, {}, "192.0.2.2", kGood}}},
    {"without a pool another value is not usable", {}, {{"z", {"10.0.0.7"}, {}, "", kNotUsable}}},
    {"without a pool usable values serve beside others",
     {},
     {{"z", {"10.96.0.1", "192.0.2.1"}, {}, "192.0.2.1", kNotUsable}}},
    {"without a pool an empty value is not assigned", {}, {{"z", {""}, {}, "", kNotAssigned}}},
    {"without a pool the members' addresses are served", {}, {{"z", {}, {}, "192.0.2.1,192.0.2.2,2001:db8::2", kGood}}},
};

TEST(Addresses, TheLeaderGivesThem)
{
    for (const Row& row : kRows) {
        SCOPED_TRACE(row.claim);
        Cluster cluster(row.ranges);
        for (std::size_t i = 0; i < row.gateways.size(); ++i)
            cluster.with(row.gateways[i].name, row.gateways[i].wanted, row.gateways[i].held,
                         "2026-01-0" + std::to_string(i + 1) + "T00:00:00Z");
        const Plan plan = cluster.plan();
        for (const Wanted& one : row.gateways) {
            EXPECT_EQ(addresses_of(plan, one.name), one.addresses) << one.name;
            EXPECT_EQ(gateway_outcome(plan, one.name, "Programmed"), one.programmed)
                << message(find_status(plan, "Gateway", one.name)->conditions, "Programmed");
            EXPECT_EQ(gateway_outcome(plan, one.name, "Accepted"), "True/Accepted");
            const std::string l4 = std::string("default/") + one.name + "/l";
            const bool served = std::ranges::find(plan.l4, l4, &L4Listener::name) != plan.l4.end();
            EXPECT_EQ(served, *one.addresses != '\0') << one.name;
        }
    }
}

TEST(Addresses, WhatTheLeaderGaveIsWhatEveryOtherNodeServes)
{
    for (const Row& row : kRows) {
        SCOPED_TRACE(row.claim);
        Cluster cluster(row.ranges);
        for (std::size_t i = 0; i < row.gateways.size(); ++i)
            cluster.with(row.gateways[i].name, row.gateways[i].wanted, row.gateways[i].held,
                         "2026-01-0" + std::to_string(i + 1) + "T00:00:00Z");
        const Plan given = cluster.plan();
        for (std::size_t i = 0; i < cluster.objects.gateways.size(); ++i) {
            model::Gateway& one = cluster.objects.gateways.edit(i);
            one.status_addresses.clear();
            for (const model::GatewayAddress& address : find_status(given, "Gateway", one.meta.name)->addresses)
                one.status_addresses.push_back(ip(address.value.c_str()));
        }
        for (const bool leads : {true, false}) {
            cluster.facts.is_leader = leads;
            const Plan plan = cluster.plan();
            EXPECT_EQ(plan.pool_addresses, given.pool_addresses) << leads;
            EXPECT_EQ(plan.l4, given.l4) << leads;
        }
    }
}

TEST(Addresses, AFollowerGivesNoneAndServesWhatTheStatusSays)
{
    Cluster cluster({"10.0.0.5-10.0.0.9"});
    cluster.facts.is_leader = false;
    const Plan plan = cluster.with("new").with("wants", {"10.0.0.8"}).with("has", {}, {"10.0.0.7"}).plan();
    EXPECT_EQ(addresses_of(plan, "new"), "");
    EXPECT_EQ(addresses_of(plan, "wants"), "");
    EXPECT_EQ(addresses_of(plan, "has"), "10.0.0.7");
    EXPECT_EQ(gateway_outcome(plan, "new", "Programmed"), kNotAssigned);
    EXPECT_EQ(gateway_outcome(plan, "wants", "Programmed"), kNotAssigned);
    for (const char* name : {"new", "wants"})
        EXPECT_NE(message(find_status(plan, "Gateway", name)->conditions, "Programmed").find("waits for the node"),
                  std::string::npos);
    ASSERT_EQ(plan.l4.size(), 1U);
    EXPECT_EQ(plan.l4[0].addresses, std::vector<IpAddress>{ip("10.0.0.7")});
}

TEST(Addresses, AnUnknownTypeIsSaidInAcceptedAndTheOthersServe)
{
    Cluster cluster({"10.0.0.5-10.0.0.9"});
    cluster.with("gw", {"10.0.0.6", "10.9.9.9"});
    auto& addresses = cluster.objects.gateways.edit(0).addresses;
    addresses.insert(addresses.begin(), {"example.com/vip", "test"});
    const Plan plan = cluster.plan();
    EXPECT_EQ(gateway_outcome(plan, "gw", "Accepted"), "False/UnsupportedAddress");
    EXPECT_EQ(gateway_outcome(plan, "gw", "Programmed"), "False/Invalid");
    addresses.erase(addresses.begin());
    EXPECT_EQ(gateway_outcome(cluster.plan(), "gw", "Accepted"), "True/Accepted");
    EXPECT_EQ(gateway_outcome(cluster.plan(), "gw", "Programmed"), kNotUsable);
}

TEST(Addresses, AMessageNamesWhatIsWrongAndWhatIsAccepted)
{
    Cluster cluster({"10.0.0.5"});
    const Plan plan = cluster.with("a", {}, {}, "1")
                          .with("b", {"10.0.0.5"}, {"10.0.0.5"}, "2")
                          .with("c", {"10.0.0.5", "10.7.7.7"}, {}, "3")
                          .plan();
    const auto said = [&](const char* name) {
        return message(find_status(plan, "Gateway", name)->conditions, "Programmed");
    };
    EXPECT_EQ(said("a"), "no address of NodeGatewayConfig pools (pools main) is free; 0 rest for a minute after use");
    EXPECT_EQ(said("b"), "");
    EXPECT_EQ(said("c"), "spec.addresses[1].value \"10.7.7.7\" is not in NodeGatewayConfig pools (pools main); "
                         "spec.addresses[0].value \"10.0.0.5\" is that of Gateway default/b");
}

TEST(Addresses, RestingOnesAreNotGivenButMayBeAskedForByValue)
{
    Cluster cluster({"10.0.0.5-10.0.0.7"});
    cluster.facts.resting = {ip("10.0.0.5"), ip("10.0.0.6")};
    const Plan plan = cluster.with("any").with("value", {"10.0.0.6"}).plan();
    EXPECT_EQ(addresses_of(plan, "any"), "10.0.0.7");
    EXPECT_EQ(addresses_of(plan, "value"), "10.0.0.6");
}

TEST(Addresses, WhatWasGivenAndIsNotInTheStatusYetIsGivenAgain)
{
    Cluster cluster({"10.0.0.5-10.0.0.9"});
    cluster.facts.assigned = cluster.with("young", {}, {}, "2026-01-02T00:00:00Z").plan().pool_addresses;
    const Plan plan = cluster.with("old", {}, {}, "2026-01-01T00:00:00Z").plan();
    EXPECT_EQ(addresses_of(plan, "young"), "10.0.0.5");
    EXPECT_EQ(addresses_of(plan, "old"), "10.0.0.6");
    cluster.facts.is_leader = false;
    EXPECT_EQ(addresses_of(cluster.plan(), "young"), "") << "only the leader's own memory counts";
}

TEST(Addresses, AGatewayFindsItsAddressesAgainWhenItsConfigComesBack)
{
    Cluster cluster({"10.0.0.5-10.0.0.9"});
    cluster.with("gw", {}, {"10.0.0.8"});
    const auto pools = std::exchange(cluster.objects.node_gateway_configs, {});
    const Plan without = cluster.plan();
    EXPECT_EQ(gateway_outcome(without, "gw", "Accepted"), "False/InvalidParameters");
    EXPECT_EQ(addresses_of(without, "gw"), "10.0.0.8");
    EXPECT_TRUE(without.addresses.empty());
    EXPECT_TRUE(without.l4.empty());
    cluster.objects.node_gateway_configs = pools;
    EXPECT_EQ(addresses_of(cluster.plan(), "gw"), "10.0.0.8");
}

TEST(Addresses, AClassSaysWhatIsWrongWithItsParameters)
{
    struct ParametersRow {
        model::ParametersReference ref;
        const char* outcome;
    };
    const ParametersRow rows[] = {
        {{"sluice.dev", "NodeGatewayConfig", "pools", {}}, "True/Accepted"},
        {{"sluice.dev", "NodeGatewayConfig", "none", {}}, "False/InvalidParameters"},
        {{"sluice.dev", "NodeGatewayConfig", "pools", "default"}, "False/InvalidParameters"},
        {{"sluice.dev", "Other", "pools", {}}, "False/InvalidParameters"},
        {{"", "ConfigMap", "pools", {}}, "False/InvalidParameters"},
    };
    for (const ParametersRow& row : rows) {
        Cluster cluster({"10.0.0.5"});
        cluster.objects.gateway_classes.edit(0).parameters_ref = row.ref;
        const Plan plan = cluster.with("gw").plan();
        EXPECT_EQ(outcome(find_status(plan, "GatewayClass", "sluice")->conditions, "Accepted"), row.outcome)
            << row.ref.kind << " " << row.ref.name;
    }
}

TEST(Addresses, AClassThatRefersToNoParametersHasThoseOfItsOwnName)
{
    Cluster cluster({"10.0.0.5"});
    cluster.objects.gateway_classes.edit(0).parameters_ref.reset();
    cluster.with("gw");
    EXPECT_NE(addresses_of(cluster.plan(), "gw"), "10.0.0.5");
    cluster.objects.node_gateway_configs.edit(0).meta.name = cluster.objects.gateway_classes[0].meta.name;
    EXPECT_EQ(addresses_of(cluster.plan(), "gw"), "10.0.0.5");
}

TEST(Addresses, ClassesWithPoolsOfTheirOwnShareNoAddress)
{
    Cluster cluster({"10.0.0.5-10.0.0.6"});
    model::NodeGatewayConfig same = config({"10.0.0.5-10.0.0.6"});
    same.meta.name = "same";
    model::GatewayClass other = cluster.objects.gateway_classes[0];
    other.meta.name = "other";
    other.parameters_ref->name = "same";
    cluster.add(same).add(other);
    cluster.with("one").with("two");
    cluster.objects.gateways.edit(1).gateway_class_name = "other";
    const Plan plan = cluster.plan();
    EXPECT_EQ(addresses_of(plan, "one"), "10.0.0.5");
    EXPECT_EQ(addresses_of(plan, "two"), "10.0.0.6");
}

TEST(Addresses, OnlyTheOwnerHasAnAddressAndEveryNodeHasItsListener)
{
    Cluster cluster({"10.0.0.0-10.0.0.15"});
    for (int i = 0; i < 16; ++i)
        cluster.with("gw-" + std::to_string(i));
    std::map<IpAddress, int> holders;
    for (const char* name : {"a", "b"}) {
        cluster.facts.name = name;
        const Plan plan = cluster.plan();
        EXPECT_EQ(plan.l4.size(), 16U);
        EXPECT_FALSE(plan.addresses.empty());
        for (const IpAddress& address : plan.addresses)
            ++holders[address];
        for (const PoolAddress& one : plan.pool_addresses)
            EXPECT_EQ(std::ranges::binary_search(plan.addresses, one.address), one.owner == name);
    }
    EXPECT_EQ(holders.size(), 16U);
    for (const auto& [address, count] : holders)
        EXPECT_EQ(count, 1) << address.to_string();
}

TEST(Addresses, WithoutAnnouncementEveryNodeHasEveryAddress)
{
    Cluster cluster({"10.0.0.5"});
    cluster.objects.node_gateway_configs.edit(0).announcement = model::Announcement::None;
    cluster.with("gw");
    for (const char* name : {"a", "b"}) {
        cluster.facts.name = name;
        EXPECT_EQ(cluster.plan().addresses, std::vector<IpAddress>{ip("10.0.0.5")}) << name;
        EXPECT_EQ(cluster.plan().pool_addresses.at(0).owner, "");
    }
}

TEST(Addresses, NodesWithoutTheSelectorsLabelsOwnNone)
{
    Cluster cluster({"10.0.0.0-10.0.0.15"});
    cluster.objects.node_gateway_configs.edit(0).node_selector = {{"edge", "yes"}};
    cluster.objects.node_gateway_configs.edit(0).interfaces = {"eth1"};
    for (int i = 0; i < 16; ++i)
        cluster.with("gw-" + std::to_string(i));
    EXPECT_EQ(gateway_outcome(cluster.plan(), "gw-0", "Programmed"), "False/Pending");
    EXPECT_TRUE(cluster.plan().addresses.empty());
    cluster.objects.nodes.edit(1).meta.labels = {{"edge", "yes"}};
    const Plan plan = cluster.plan();
    EXPECT_EQ(gateway_outcome(plan, "gw-0", "Programmed"), kGood);
    for (const PoolAddress& one : plan.pool_addresses) {
        EXPECT_EQ(one.owner, "b");
        EXPECT_EQ(one.interfaces, std::vector<std::string>{"eth1"});
    }
}

TEST(Addresses, FromFilesAnyValueIsHad)
{
    World world;
    world.add(gateway("gw", {listener("l", "TCP", 80)}, {"10.0.0.7"}));
    EXPECT_EQ(world.plan().addresses, std::vector<IpAddress>{ip("10.0.0.7")});
}

TEST(Addresses, FromFilesANodeGivesAndOwnsThemItself)
{
    Cluster cluster({"10.0.0.5-10.0.0.9"});
    cluster.facts.cluster = false;
    cluster.facts.is_leader = false;
    cluster.facts.members.clear();
    const Plan plan = cluster.with("gw", {}, {"10.0.0.8"}).plan();
    EXPECT_EQ(addresses_of(plan, "gw"), "10.0.0.5") << "a status in a file is not one that we wrote";
    EXPECT_EQ(plan.addresses, std::vector<IpAddress>{ip("10.0.0.5")});
}

// On another node it would take what is for that node, which may be the API server's.
TEST(Addresses, ANodesOwnAddressIsMadeLocalNowhere)
{
    World world;
    world.add(gateway("gw", {listener("l", "HTTP", 80)}, {"192.0.2.1", "192.0.2.2"})).add(node("n1", {"192.0.2.1"}));
    const Plan plan = world.plan();
    EXPECT_EQ(plan.addresses, std::vector<IpAddress>{ip("192.0.2.2")});
    ASSERT_EQ(plan.http.size(), 1U);
    EXPECT_EQ(plan.http[0].addresses.size(), 2U) << "it is served where it is";
}

TEST(Addresses, AThousandGatewaysGetAThousandAddresses)
{
    Cluster cluster({"10.0.0.0-10.0.15.255"});
    for (int i = 0; i < 1000; ++i)
        cluster.objects.gateways.push_back(gateway("gw-" + std::to_string(1000 + i), {listener("l", "TCP", 80)}));
    const Plan plan = cluster.plan();
    ASSERT_EQ(plan.pool_addresses.size(), 1000U);
    EXPECT_EQ(plan.pool_addresses.back().address, ip("10.0.3.231"));
}

}  // namespace
}  // namespace sluice::plan::test
