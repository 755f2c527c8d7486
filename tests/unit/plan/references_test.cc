// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

World http_world(model::BackendRef ref)
{
    World world;
    world.add(gateway("gw", {listener("web", "HTTP", 80)}))
        .add(http_route("r", {parent("gw")}, {}, {rule({std::move(ref)})}));
    return world;
}

Backend only_backend(const Plan& plan) { return plan.http.at(0).listeners.at(0).rules.at(0)->backends.at(0); }

model::BackendRef in_namespace(model::BackendRef ref, const char* ns)
{
    ref.ns = ns;
    return ref;
}

TEST(References, EachKindOfBadReferenceHasItsReasonAndKeepsItsShare)
{
    model::BackendRef bucket = backend("web");
    bucket.group = "example.com";
    bucket.kind = "Bucket";
    model::BackendRef no_port = backend("web");
    no_port.port.reset();
    struct Row {
        const char* claim;
        model::BackendRef ref;
        const char* reason;
        const char* in_message;
    };
    const Row rows[] = {
        {"missing Service", backend("none"), "BackendNotFound", "Service default/none does not exist"},
        {"missing port", backend("web", 81), "BackendNotFound", "no TCP port 81"},
        {"a UDP port is no TCP port", backend("web", 53), "BackendNotFound", "no TCP port 53"},
        {"unknown kind", bucket, "InvalidKind", "example.com/Bucket"},
        {"no port", no_port, "UnsupportedValue", "port is not set"},
        {"ExternalName", backend("external"), "UnsupportedValue", "ExternalName"},
        {"a protocol that needs a policy", backend("wss"), "UnsupportedProtocol", "kubernetes.io/wss"},
        {"other namespace without grant", in_namespace(backend("web"), "other"), "RefNotPermitted", "\"other\""},
        {"no grant hides that it is missing", in_namespace(backend("none"), "other"), "RefNotPermitted", "\"other\""},
    };
    for (const Row& row : rows) {
        World world = http_world(row.ref);
        model::Service external = service("external");
        external.type = "ExternalName";
        model::Service wss = service("wss");
        wss.ports[0].app_protocol = "kubernetes.io/wss";
        const Plan plan = world.add(service("web")).add(service("web", "other")).add(external).add(wss).plan();
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"), std::string("False/") + row.reason)
            << row.claim;
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "True/Accepted") << row.claim;
        EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, 1U) << row.claim;
        const std::string text = route_message(plan, "HTTPRoute", "r", "ResolvedRefs");
        EXPECT_NE(text.find(row.in_message), std::string::npos) << row.claim << ": " << text;
        EXPECT_NE(text.find("spec.rules[0].backendRefs[0]"), std::string::npos) << row.claim << ": " << text;
        EXPECT_FALSE(only_backend(plan).valid) << row.claim;
        EXPECT_EQ(only_backend(plan).invalid_reason, row.reason) << row.claim;
        EXPECT_EQ(only_backend(plan).weight, 1U) << row.claim;
    }
}

TEST(References, AGrantMustMatchKindNamespaceAndName)
{
    struct Row {
        const char* claim;
        model::ReferenceGrant grant;
        bool allowed;
    };
    model::ReferenceGrant wrong_group = grant("other", "HTTPRoute", "default");
    wrong_group.from[0].group = "";
    model::ReferenceGrant secrets = grant("other", "HTTPRoute", "default");
    secrets.to[0].kind = "Secret";
    const Row rows[] = {
        {"all Services", grant("other", "HTTPRoute", "default"), true},
        {"this Service", grant("other", "HTTPRoute", "default", "web"), true},
        {"another Service", grant("other", "HTTPRoute", "default", "api"), false},
        {"another kind of route", grant("other", "TCPRoute", "default"), false},
        {"another namespace of routes", grant("other", "HTTPRoute", "team"), false},
        {"a grant in the route's namespace", grant("default", "HTTPRoute", "default"), false},
        {"another group", wrong_group, false},
        {"another kind of target", secrets, false},
    };
    for (const Row& row : rows) {
        World world = http_world(in_namespace(backend("web"), "other"));
        const Plan plan = world.add(service("web", "other")).add(row.grant).plan();
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"),
                  row.allowed ? "True/ResolvedRefs" : "False/RefNotPermitted")
            << row.claim;
        EXPECT_EQ(only_backend(plan).valid, row.allowed) << row.claim;
    }
}

TEST(References, ReadyEndpointsServeAndEndingOnesOnlyWithoutThem)
{
    struct Row {
        const char* claim;
        std::vector<model::Endpoint> endpoints;
        std::vector<SocketAddress> expected;
    };
    const auto at = [](const char* address) { return SocketAddress{ip(address), 8080}; };
    const Row rows[] = {
        {"none", {}, {}},
        {"sorted and each once",
         {endpoint("10.0.0.2"), endpoint("10.0.0.1"), endpoint("10.0.0.2")},
         {at("10.0.0.1"), at("10.0.0.2")}},
        {"not ready is left out", {endpoint("10.0.0.1"), endpoint("10.0.0.2", false, false)}, {at("10.0.0.1")}},
        {"ready ones keep ending ones out",
         {endpoint("10.0.0.1"), endpoint("10.0.0.2", false, true, true)},
         {at("10.0.0.1")}},
        {"ending ones that serve stand in", {endpoint("10.0.0.2", false, true, true)}, {at("10.0.0.2")}},
        {"ending ones that no longer serve do not", {endpoint("10.0.0.2", false, false, true)}, {}},
        {"not ready but serving and staying do not", {endpoint("10.0.0.2", false, true, false)}, {}},
        {"unspecified and multicast addresses are left out", {endpoint("0.0.0.0"), endpoint("224.0.0.1")}, {}},
        {"both families", {endpoint("2001:db8::1"), endpoint("10.0.0.1")}, {at("10.0.0.1"), at("2001:db8::1")}},
    };
    for (const Row& row : rows) {
        World world = http_world(backend("web"));
        std::vector<SocketAddress> expected = row.expected;
        std::ranges::sort(expected);
        const Plan plan = world.add(service("web")).add(slice("web", row.endpoints)).plan();
        EXPECT_EQ(only_backend(plan).endpoints, expected) << row.claim;
        EXPECT_TRUE(only_backend(plan).valid) << row.claim;
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"), "True/ResolvedRefs") << row.claim;
    }
}

TEST(References, EndpointsComeFromAllSlicesOfThatServiceByPortName)
{
    World world = http_world(backend("web"));
    model::EndpointSlice second = slice("web", {endpoint("10.0.0.2")});
    second.meta.name = "web-2";
    second.ports = {{"admin", "TCP", 9}, {"http", "UDP", 10}, {"http", "TCP", 3000}};
    model::EndpointSlice names = slice("web", {endpoint("10.0.0.3")});
    names.meta.name = "web-fqdn";
    names.address_type = "FQDN";
    world.add(service("web"))
        .add(slice("web", {endpoint("10.0.0.1")}))
        .add(second)
        .add(names)
        .add(slice("web", {endpoint("10.0.9.9")}, "other"))
        .add(slice("api", {endpoint("10.0.8.8")}));
    const std::vector<SocketAddress> expected = {{ip("10.0.0.1"), 8080}, {ip("10.0.0.2"), 3000}};
    EXPECT_EQ(only_backend(world.plan()).endpoints, expected);
}

TEST(References, TheFirstBadReferenceGivesTheReasonAndAllAreNamed)
{
    World world;
    world.add(gateway("gw", {listener("web", "HTTP", 80)}))
        .add(service("web"))
        .add(http_route("r", {parent("gw")}, {},
                        {rule({backend("web"), backend("none", 80, 0)}), rule({in_namespace(backend("x"), "other")})}));
    const Plan plan = world.plan();
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"), "False/BackendNotFound");
    const std::string text = route_message(plan, "HTTPRoute", "r", "ResolvedRefs");
    EXPECT_NE(text.find("spec.rules[0].backendRefs[1]"), std::string::npos) << text;
    EXPECT_NE(text.find("spec.rules[1].backendRefs[0]"), std::string::npos) << text;
}

TEST(References, ARejectedRouteStillHasResolvedRefs)
{
    World world = http_world(backend("web"));
    world.add(service("web"));
    world.objects.http_routes.edit(0).parent_refs = {parent("gw", "none")};
    const Plan plan = world.plan();
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "False/NoMatchingParent");
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"), "True/ResolvedRefs");
}

TEST(References, FromAClusterEndpointsOnTheNodesAreRefused)
{
    struct Row {
        const char* address;
        bool served_from_cluster;
        bool served_from_files;
    };
    const Row rows[] = {
        {"10.1.0.5", true, true},
        {"2001:db8:9::5", true, true},
        {"127.0.0.1", false, true},
        {"127.8.9.1", false, true},
        {"::1", false, true},
        {"169.254.169.254", false, true},
        {"fe80::1", false, true},
        {"192.0.2.1", false, true},
        {"192.0.2.77", false, true},
        {"2001:db8::77", false, true},
        {"::ffff:127.0.0.1", false, true},
        {"::ffff:192.0.2.77", false, true},
        {"192.0.2.199", true, true},
        {"192.0.2.200", false, true},  // of the pool
        {"2001:db8:1::7", false, true},
        {"0.0.0.0", false, false},
        {"224.0.0.1", false, false},
    };
    for (const Row& row : rows) {
        for (const bool cluster : {true, false}) {
            World world = http_world(backend("web"));
            world.facts.cluster = cluster;
            world.add(service("web")).add(node("far", {"192.0.2.77", "2001:db8::77"}));
            world.add(config({"192.0.2.200-192.0.2.210", "2001:db8:1::-2001:db8:1::ff"}));
            world.add(slice("web", {endpoint(row.address)}));
            const Plan plan = world.plan();
            const bool served = cluster ? row.served_from_cluster : row.served_from_files;
            EXPECT_EQ(only_backend(plan).endpoints.size(), served ? 1U : 0U) << row.address << " " << cluster;
        }
    }
}

TEST(References, ABackendOfRefusedEndpointsAloneIsInvalidAndSaysSo)
{
    World world = http_world(backend("web"));
    world.facts.cluster = true;
    world.add(service("web")).add(slice("web", {endpoint("192.0.2.1"), endpoint("127.0.0.1")}));
    const Plan refused = world.plan();
    EXPECT_FALSE(only_backend(refused).valid);
    EXPECT_EQ(route_outcome(refused, "HTTPRoute", "r", "ResolvedRefs"), "False/UnsupportedValue");
    EXPECT_NE(route_message(refused, "HTTPRoute", "r", "ResolvedRefs").find("127.0.0.1; those of pods are accepted"),
              std::string::npos);
    world.objects.endpoint_slices.edit(0).endpoints.push_back(endpoint("10.1.0.5"));
    const Plan plan = world.plan();
    EXPECT_EQ(only_backend(plan).endpoints, (std::vector<SocketAddress>{{ip("10.1.0.5"), 8080}}));
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"), "True/ResolvedRefs");
}

}  // namespace
}  // namespace sluice::plan::test
