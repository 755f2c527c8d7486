// SPDX-License-Identifier: Apache-2.0
// NodeGatewayConfig, Node, and what of a Gateway belongs to its addresses and infrastructure.
#include <gtest/gtest.h>

#include <algorithm>

#include "agent/source/decode.h"

namespace sluice::source {
namespace {

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

std::string config_text(const std::string& spec)
{
    return "apiVersion: sluice.dev/v1alpha1\nkind: NodeGatewayConfig\nmetadata: {name: x}\nspec: " + spec + "\n";
}

std::string pool_text(const std::string& range)
{
    return config_text("{pools: [{name: main, cidrs: [\"" + range + "\"]}]}");
}

template <class T> T only(const std::string& text)
{
    const Decoded decoded = decode(text, "f.yaml");
    for (const Problem& problem : decoded.problems)
        ADD_FAILURE() << to_string(problem);
    if (decoded.objects.size() != 1 || !std::holds_alternative<T>(decoded.objects[0].object)) {
        ADD_FAILURE() << "not one " << T::kKind << ": " << text;
        return {};
    }
    return std::get<T>(decoded.objects[0].object);
}

TEST(DecodeConfig, EveryFieldIsRead)
{
    const auto config = only<model::NodeGatewayConfig>(config_text(
        "{pools: [{name: v4, cidrs: [192.0.2.0/30, 192.0.2.9-192.0.2.10]}, {name: v6, cidrs: ['2001:db8::/126']}], "
        "announcement: None, interfaces: [eth0, bond0.7], nodeSelector: {matchLabels: {edge: 'yes'}}}"));
    EXPECT_EQ(config.meta.ns, "");
    ASSERT_EQ(config.pools.size(), 2U);
    EXPECT_EQ(config.pools[0].name, "v4");
    EXPECT_EQ(config.pools[0].ranges, (std::vector<model::AddressRange>{{ip("192.0.2.0"), ip("192.0.2.3")},
                                                                        {ip("192.0.2.9"), ip("192.0.2.10")}}));
    EXPECT_EQ(config.pools[1].ranges, (std::vector<model::AddressRange>{{ip("2001:db8::"), ip("2001:db8::3")}}));
    EXPECT_EQ(config.announcement, model::Announcement::None);
    EXPECT_EQ(config.interfaces, (std::vector<std::string>{"eth0", "bond0.7"}));
    EXPECT_EQ(config.node_selector, (model::Labels{{"edge", "yes"}}));
}

TEST(DecodeConfig, AnEmptySpecIsOneWithoutPools)
{
    const auto config = only<model::NodeGatewayConfig>(config_text("{}"));
    EXPECT_TRUE(config.pools.empty());
    EXPECT_EQ(config.announcement, model::Announcement::L2);
}

TEST(DecodeConfig, ARangeIsReadWholeOrRefused)
{
    struct Row {
        const char* text;
        const char* first;  // null: refused
        const char* last;
    };
    const Row rows[] = {
        {"192.0.2.7/32", "192.0.2.7", "192.0.2.7"},
        {"192.0.2.6/31", "192.0.2.6", "192.0.2.7"},
        {"10.0.0.0/8", "10.0.0.0", "10.255.255.255"},
        {"2001:db8::1/128", "2001:db8::1", "2001:db8::1"},
        {"2001:db8::/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"},
        {"2001:db8::8000/113", "2001:db8::8000", "2001:db8::ffff"},
        {"192.0.2.1-192.0.2.1", "192.0.2.1", "192.0.2.1"},
        {"192.0.2.250-192.0.3.4", "192.0.2.250", "192.0.3.4"},
        {"2001:DB8::1-2001:db8::a", "2001:db8::1", "2001:db8::a"},
        {"223.255.255.255/32", "223.255.255.255", "223.255.255.255"},
        {"", nullptr, nullptr},
        {"192.0.2.7", nullptr, nullptr},
        {"192.0.2.0/33", nullptr, nullptr},
        {"192.0.2.0/-1", nullptr, nullptr},
        {"192.0.2.0/", nullptr, nullptr},
        {"192.0.2.0/24x", nullptr, nullptr},
        {"192.0.2.0/99999999999", nullptr, nullptr},
        {"192.0.2.0/24/24", nullptr, nullptr},
        {"192.0.2/24", nullptr, nullptr},
        {"192.0.2.1/24", nullptr, nullptr},
        {"2001:db8::/129", nullptr, nullptr},
        {"2001:db8::1/64", nullptr, nullptr},
        {"192.0.2.9-192.0.2.1", nullptr, nullptr},
        {"192.0.2.1-2001:db8::1", nullptr, nullptr},
        {"192.0.2.1-", nullptr, nullptr},
        {"-192.0.2.1", nullptr, nullptr},
        {"192.0.2.1 - 192.0.2.9", nullptr, nullptr},
        {"192.0.2.1-192.0.2.9-192.0.2.10", nullptr, nullptr},
        {"0.0.0.0/0", nullptr, nullptr},
        {"0.0.0.1-0.0.0.2", nullptr, nullptr},
        {"127.0.0.1/32", nullptr, nullptr},
        {"126.0.0.0-128.0.0.0", nullptr, nullptr},
        {"169.254.1.0/24", nullptr, nullptr},
        {"224.0.0.0/24", nullptr, nullptr},
        {"223.255.255.255-224.0.0.0", nullptr, nullptr},
        {"255.255.255.255/32", nullptr, nullptr},
        {"::/0", nullptr, nullptr},
        {"::1/128", nullptr, nullptr},
        {"::ffff:192.0.2.0/120", nullptr, nullptr},
        {"::ffff:0:0/96", nullptr, nullptr},
        {"::fffe:0:0-::1:0:0:0", nullptr, nullptr},
        {"fe80::/64", nullptr, nullptr},
        {"ff02::/16", nullptr, nullptr},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.text);
        if (row.first != nullptr) {
            const auto config = only<model::NodeGatewayConfig>(pool_text(row.text));
            EXPECT_EQ(config.pools.at(0).ranges, (std::vector<model::AddressRange>{{ip(row.first), ip(row.last)}}));
            continue;
        }
        const Decoded decoded = decode(pool_text(row.text), "f.yaml");
        EXPECT_TRUE(decoded.objects.empty());
        ASSERT_EQ(decoded.problems.size(), 1U);
        EXPECT_TRUE(decoded.problems[0].fatal);
        EXPECT_EQ(decoded.problems[0].field, "spec.pools[0].cidrs[0]");
        EXPECT_NE(decoded.problems[0].message.find("accepted"), std::string::npos) << decoded.problems[0].message;
    }
}

TEST(DecodeConfig, WhatIsWrongIsNamed)
{
    struct Row {
        const char* spec;
        const char* field;
        bool fatal;
    };
    const Row rows[] = {
        {"{pools: [{cidrs: [10.0.0.0/8]}]}", "spec.pools[0].name", true},
        {"{pools: [{name: a}]}", "spec.pools[0].cidrs", true},
        {"{pools: [{name: a, cidrs: []}]}", "spec.pools[0].cidrs", true},
        {"{pools: [{name: a, cidrs: [7]}]}", "spec.pools[0].cidrs[0]", true},
        {"{pools: [{name: a, cidrs: [10.0.0.0/8]}, {name: a, cidrs: [10.0.0.0/8]}]}", "spec.pools[1]", true},
        {"{announcement: BGP}", "spec.announcement", true},
        {"{interfaces: [eth0/1]}", "spec.interfaces[0]", true},
        {"{interfaces: [a-name-of-16-let]}", "spec.interfaces[0]", true},
        {"{interfaces: ['']}", "spec.interfaces[0]", true},
        {"{nodeSelector: {matchExpressions: []}}", "spec.nodeSelector.matchExpressions", false},
        {"{pool: []}", "spec.pool", false},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.spec);
        const Decoded decoded = decode(config_text(row.spec), "f.yaml");
        EXPECT_EQ(decoded.objects.empty(), row.fatal);
        ASSERT_EQ(decoded.problems.size(), 1U);
        EXPECT_EQ(decoded.problems[0].fatal, row.fatal);
        EXPECT_EQ(decoded.problems[0].field, row.field);
    }
}

TEST(DecodeConfig, ANodeIsItsLabelsAndAddresses)
{
    const auto node = only<model::Node>(
        "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {edge: 'yes'}, annotations: {big: text}}\n"
        "spec: {podCIDR: 10.244.0.0/24}\n"
        "status: {addresses: [{type: InternalIP, address: 192.0.2.1}, {type: Hostname, address: n1}, "
        "{type: ExternalIP, address: '2001:db8::1'}, {type: InternalIP, address: nonsense}, 7], "
        "nodeInfo: {kernelVersion: 7}}\n");
    EXPECT_EQ(node.meta.labels, (model::Labels{{"edge", "yes"}}));
    EXPECT_TRUE(node.meta.annotations.empty());
    EXPECT_EQ(node.addresses, (std::vector<IpAddress>{ip("192.0.2.1"), ip("2001:db8::1")}));
}

std::string gateway_text(const std::string& infrastructure, const std::string& status)
{
    return "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec:\n"
           "  gatewayClassName: sluice\n  listeners: [{name: l, port: 80, protocol: TCP}]\n  infrastructure: " +
           infrastructure + "\nstatus: " + status + "\n";
}

TEST(DecodeConfig, AGatewaysStatusAddressesAreReadAndNeverMakeItWrong)
{
    struct Row {
        const char* status;
        std::vector<IpAddress> addresses;
    };
    const Row rows[] = {
        {"{addresses: [{type: IPAddress, value: 192.0.2.9}, {value: '2001:db8::1'}], listeners: []}",
         {ip("192.0.2.9"), ip("2001:db8::1")}},
        {"{conditions: []}", {}},
        {"7", {}},
        {"", {}},
        {"[1, 2]", {}},
        {"{addresses: 7}", {}},
        {"{addresses: {value: 192.0.2.9}}", {}},
        {"{addresses: [7, {value: [192.0.2.9]}, {type: Hostname, value: x.org}, {value: 192.0.2.9}, {}]}",
         {ip("192.0.2.9")}},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.status);
        EXPECT_EQ(only<model::Gateway>(gateway_text("{}", row.status)).status_addresses, row.addresses);
    }
    std::string many = "{addresses: [";
    for (int i = 0; i < 65; ++i)
        many += "{value: 192.0.2.9},";
    EXPECT_TRUE(only<model::Gateway>(gateway_text("{}", many + "]}")).status_addresses.empty());
}

TEST(DecodeConfig, AGatewaysInfrastructureIsRead)
{
    const auto gateway =
        only<model::Gateway>(gateway_text("{labels: {team: blue}, annotations: {example.com/note: 'yes'}}", "{}"));
    EXPECT_EQ(gateway.infrastructure_labels, (model::Labels{{"team", "blue"}}));
    EXPECT_EQ(gateway.infrastructure_annotations, (model::Labels{{"example.com/note", "yes"}}));
    EXPECT_FALSE(gateway.has_parameters_ref);
}

TEST(DecodeConfig, AClassNamesItsParameters)
{
    const auto of = [](const std::string& spec) {
        return only<model::GatewayClass>("apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"
                                         "metadata: {name: x}\nspec: {controllerName: sluice.dev/node-gateway" +
                                         spec + "}\n")
            .parameters_ref;
    };
    EXPECT_FALSE(of(""));
    const auto ref = of(", parametersRef: {group: sluice.dev, kind: NodeGatewayConfig, name: pools}");
    ASSERT_TRUE(ref);
    EXPECT_EQ(ref->group + "/" + ref->kind + "/" + ref->name, "sluice.dev/NodeGatewayConfig/pools");
    EXPECT_FALSE(ref->ns);
}

}  // namespace
}  // namespace sluice::source
