// SPDX-License-Identifier: Apache-2.0
// TLSRoutes: to which names they attach, and which host of a port serves a connection.
#include <gtest/gtest.h>

#include "agent/plan/hostname.h"
#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

// "listener route" of the host that serves a server name: the first that covers it.
std::string served_by(const Plan& plan, const std::string& server_name)
{
    if (plan.tls.empty())
        return "no port";
    for (const TlsHost& host : plan.tls.at(0).hosts)
        if (covers(host.hostname, server_name))
            return host.listener.substr(host.listener.rfind('/') + 1) + " " + (host.route.empty() ? "-" : host.route);
    return "none";
}

World passthrough_world(std::vector<model::Listener> listeners)
{
    World world;
    world.add(gateway("gw", std::move(listeners))).add(service("web")).add(secret("cert"));
    world.add(slice("web", {endpoint("192.0.2.10")}));
    return world;
}

TEST(TlsRoute, PassthroughHasBackendsAndNoCertificate)
{
    World world = passthrough_world({passthrough_listener("tls", 443, "*.example.com")});
    const Plan plan = world.add(tls_route("r", {"abc.example.com"})).plan();
    EXPECT_EQ(route_outcome(plan, "TLSRoute", "r", "Accepted"), "True/Accepted");
    EXPECT_EQ(route_outcome(plan, "TLSRoute", "r", "ResolvedRefs"), "True/ResolvedRefs");
    EXPECT_EQ(listener_of(plan, "gw", "tls").attached_routes, 1U);
    ASSERT_EQ(plan.tls.size(), 1U);
    EXPECT_EQ(plan.tls[0].port, 443);
    const TlsHost& host = plan.tls[0].hosts.at(0);
    EXPECT_EQ(host.hostname, "abc.example.com");
    EXPECT_EQ(host.route, "default/r");
    EXPECT_FALSE(host.termination);
    EXPECT_EQ(host.backends.at(0).endpoints.at(0).to_string(), "192.0.2.10:8080");
    EXPECT_TRUE(plan.http.empty());
}

TEST(TlsRoute, TerminationHasTheListenersCertificate)
{
    World world = passthrough_world({tls_listener("tls", "TLS", 8443, "tls.example.com")});
    const Plan plan = world.add(tls_route("r", {"tls.example.com"})).plan();
    const TlsHost& host = plan.tls.at(0).hosts.at(0);
    ASSERT_TRUE(host.termination);
    EXPECT_EQ(host.termination->certificates.at(0).name, "default/cert");
    EXPECT_EQ(listener_of(plan, "gw", "tls").supported_kinds,
              (std::vector<model::RouteGroupKind>{{model::kGatewayGroup, "TLSRoute"}}));
}

TEST(TlsRoute, BothModesShareAPortByName)
{
    World world = passthrough_world(
        {tls_listener("end", "TLS", 8443, "tls.example.com"), passthrough_listener("pass", 8443, "abc.example.com")});
    world.add(tls_route("a", {"abc.example.com"})).add(tls_route("t", {"tls.example.com"}));
    const Plan plan = world.plan();
    for (const char* name : {"end", "pass"})
        EXPECT_EQ(listener_outcome(plan, "gw", name, "Programmed"), "True/Programmed");
    EXPECT_EQ(served_by(plan, "abc.example.com"), "pass default/a");
    EXPECT_EQ(served_by(plan, "tls.example.com"), "end default/t");
    EXPECT_EQ(served_by(plan, "x.example.com"), "none");
}

TEST(TlsRoute, TheMostSpecificListenerServesANameAlone)
{
    World world = passthrough_world(
        {passthrough_listener("any", 443), passthrough_listener("wide", 443, "*.example.com"),
         passthrough_listener("narrow", 443, "*.b.example.com"), tls_listener("https", "HTTPS", 443, "*.shop.org")});
    model::TlsRoute wide = tls_route("wide", {"a.b.example.com", "*.b.example.com", "c.example.com"});
    wide.parent_refs = {parent("gw", "wide")};
    model::TlsRoute narrow = tls_route("narrow", {"x.b.example.com"});
    narrow.parent_refs = {parent("gw", "narrow")};
    model::TlsRoute any = tls_route("any", {"a.shop.org", "*.org"});
    any.parent_refs = {parent("gw", "any")};
    const Plan plan = world.add(wide).add(narrow).add(any).plan();
    struct Row {
        const char* server_name;
        const char* served_by;
    };
    const Row rows[] = {
        {"c.example.com", "wide default/wide"},
        {"d.example.com", "wide -"},
        {"x.b.example.com", "narrow default/narrow"},
        {"a.b.example.com", "narrow -"},
        {"y.b.example.com", "narrow -"},
        {"z.org", "any default/any"},
        {"example.com", "any -"},
        {"", "any -"},
    };
    for (const Row& row : rows)
        EXPECT_EQ(served_by(plan, row.server_name), row.served_by) << row.server_name;
    // The HTTPS listener's names are in no host here.
    for (const TlsHost& host : plan.tls.at(0).hosts)
        EXPECT_NE(host.hostname, "a.shop.org");
    EXPECT_EQ(plan.http.at(0).port, plan.tls.at(0).port);
}

TEST(TlsRoute, OfSeveralForOneNameTheMoreSpecificThenTheOlderServes)
{
    struct Row {
        const char* claim;
        model::TlsRoute first;
        model::TlsRoute second;
        const char* served_by;
    };
    const Row rows[] = {
        {"the route's own name decides", tls_route("a", {"*.example.com"}, {backend("web")}, "2020-01-01T00:00:00Z"),
         tls_route("b", {"abc.example.com"}, {backend("web")}, "2021-01-01T00:00:00Z"), "tls default/b"},
        {"then the age", tls_route("a", {"abc.example.com"}, {backend("web")}, "2021-01-01T00:00:00Z"),
         tls_route("b", {"abc.example.com"}, {backend("web")}, "2020-01-01T00:00:00Z"), "tls default/b"},
        {"then the name", tls_route("a", {"abc.example.com"}), tls_route("b", {"abc.example.com"}), "tls default/a"},
    };
    for (const Row& row : rows) {
        World world = passthrough_world({passthrough_listener("tls", 443, "abc.example.com")});
        const Plan plan = world.add(row.first).add(row.second).plan();
        EXPECT_EQ(served_by(plan, "abc.example.com"), row.served_by) << row.claim;
        EXPECT_EQ(listener_of(plan, "gw", "tls").attached_routes, 2U) << row.claim;
    }
}

TEST(TlsRoute, IsLetInByTlsListenersOfItsNamesOnly)
{
    struct Row {
        const char* claim;
        model::Listener listener;
        const char* accepted;
    };
    const Row rows[] = {
        {"its name", passthrough_listener("l", 443, "abc.example.com"), "True/Accepted"},
        {"a wildcard over it", passthrough_listener("l", 443, "*.com"), "True/Accepted"},
        {"every name", passthrough_listener("l", 443), "True/Accepted"},
        {"another name", passthrough_listener("l", 443, "x.example.com"), "False/NoMatchingListenerHostname"},
        {"HTTPS", tls_listener("l", "HTTPS", 443), "False/NotAllowedByListeners"},
        {"TCP", listener("l", "TCP", 443), "False/NotAllowedByListeners"},
    };
    for (const Row& row : rows) {
        const Plan plan = passthrough_world({row.listener}).add(tls_route("r", {"abc.example.com"})).plan();
        EXPECT_EQ(route_outcome(plan, "TLSRoute", "r", "Accepted"), row.accepted) << row.claim;
        const bool accepted = std::string_view(row.accepted).starts_with("True");
        EXPECT_EQ(listener_of(plan, "gw", "l").attached_routes, accepted ? 1U : 0U) << row.claim;
    }
}

TEST(TlsRoute, ABadBackendKeepsItsShareAndIsRefused)
{
    World world = passthrough_world({passthrough_listener("tls", 443)});
    const Plan plan = world.add(tls_route("r", {"abc.example.com"}, {backend("gone", 80, 3), backend("web")})).plan();
    EXPECT_EQ(route_outcome(plan, "TLSRoute", "r", "Accepted"), "True/Accepted");
    EXPECT_EQ(route_outcome(plan, "TLSRoute", "r", "ResolvedRefs"), "False/BackendNotFound");
    const TlsHost& host = plan.tls.at(0).hosts.at(0);
    ASSERT_EQ(host.backends.size(), 2U);
    EXPECT_FALSE(host.backends[0].valid);
    EXPECT_EQ(host.backends[0].weight, 3U);
    EXPECT_TRUE(host.backends[1].valid);
}

TEST(TlsRoute, AnUpperCaseNameOfAListenerIsServedInLowerCase)
{
    World world = passthrough_world({passthrough_listener("tls", 443, "ABC.example.com")});
    const Plan plan = world.add(tls_route("r", {"abc.EXAMPLE.com"})).plan();
    EXPECT_EQ(served_by(plan, "abc.example.com"), "tls default/r");
}

TEST(TlsPorts, OneListenerANameOverHttpsAndTls)
{
    World world = passthrough_world(
        {tls_listener("https", "HTTPS", 443, "a.example.com"), passthrough_listener("tls", 443, "a.example.com")});
    const Plan plan = world.plan();
    for (const char* name : {"https", "tls"})
        EXPECT_EQ(listener_outcome(plan, "gw", name, "Conflicted"), "True/HostnameConflict");
    EXPECT_TRUE(plan.http.empty());
    EXPECT_TRUE(plan.tls.empty());
}

TEST(TlsPorts, OnlyHttpsAndTlsShareAPort)
{
    struct Row {
        model::Listener a;
        model::Listener b;
        bool conflict;
    };
    const Row rows[] = {
        {tls_listener("a", "HTTPS", 443, "a.org"), tls_listener("b", "TLS", 443, "b.org"), false},
        {tls_listener("a", "HTTPS", 443, "a.org"), tls_listener("b", "HTTPS", 443, "b.org"), false},
        {tls_listener("a", "HTTPS", 443), passthrough_listener("b", 443, "b.org"), false},
        {tls_listener("a", "HTTPS", 443), listener("b", "HTTP", 443, "b.org"), true},
        {passthrough_listener("a", 443), listener("b", "TCP", 443), true},
        {tls_listener("a", "HTTPS", 443), listener("b", "UDP", 443), false},
    };
    for (const Row& row : rows) {
        const Plan plan = passthrough_world({row.a, row.b}).plan();
        for (const char* name : {"a", "b"})
            EXPECT_EQ(listener_outcome(plan, "gw", name, "Accepted"),
                      row.conflict ? "False/ProtocolConflict" : "True/Accepted")
                << row.a.protocol << " and " << row.b.protocol;
    }
}

}  // namespace
}  // namespace sluice::plan::test
