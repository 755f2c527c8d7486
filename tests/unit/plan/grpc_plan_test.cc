// SPDX-License-Identifier: Apache-2.0
// GRPCRoutes: the paths that their matches become, their order, and HTTPRoutes beside them.
#include <gtest/gtest.h>
#include <re2/re2.h>

#include "agent/plan/regex.h"
#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

using Path = model::PathMatchType;
using model::ValueMatchType;

World grpc_world(std::vector<model::Listener> listeners = {listener("web", "HTTP", 80)})
{
    World world;
    world.add(gateway("gw", std::move(listeners))).add(service("web")).add(secret("cert"));
    return world;
}

TEST(GrpcPlan, AMethodMatchBecomesAPath)
{
    struct Row {
        const char* claim;
        model::GrpcMatch match;
        Path type;
        const char* path;
    };
    const auto regex = ValueMatchType::RegularExpression;
    const Row rows[] = {
        {"every request", grpc_match("", ""), Path::PathPrefix, "/"},
        {"service and method", grpc_match("a.B", "Get"), Path::Exact, "/a.B/Get"},
        {"service", grpc_match("a.B", ""), Path::PathPrefix, "/a.B"},
        {"method", grpc_match("", "Get_1"), Path::RegularExpression, "/[^/]+/Get_1"},
        {"expressions", grpc_match("a|b", "G.*", regex), Path::RegularExpression, "/(?:a|b)/(?:G.*)"},
        {"expression of a service", grpc_match("a.*", "", regex), Path::RegularExpression, "/(?:a.*)/(?:[^/]+)"},
        {"no expression", grpc_match("", "", regex), Path::PathPrefix, "/"},
    };
    for (const Row& row : rows) {
        const Plan plan = grpc_world().add(grpc_route("r", {}, {row.match})).plan();
        EXPECT_EQ(route_outcome(plan, "GRPCRoute", "r", "Accepted"), "True/Accepted") << row.claim;
        const HttpListener& web = plan.http.at(0).listeners.at(0);
        ASSERT_EQ(web.hosts.at(0).entries.size(), 1U) << row.claim;
        EXPECT_EQ(web.hosts[0].entries[0].match->path, (model::PathMatch{row.type, row.path})) << row.claim;
        EXPECT_TRUE(web.rules.at(0)->grpc) << row.claim;
        EXPECT_EQ(web.rules[0]->backends.at(0).app_protocol, AppProtocol::Http2) << row.claim;
        EXPECT_TRUE(row.type != Path::RegularExpression || RE2(row.path, regex_options()).ok()) << row.claim;
    }
}

TEST(GrpcPlan, TheLongerServiceComesFirstThenTheLongerMethodThenHeaders)
{
    model::GrpcMatch with_header = grpc_match("a.Long", "Get");
    with_header.headers = {{ValueMatchType::Exact, "version", "two"}};
    const Plan plan =
        grpc_world()
            .add(grpc_route("r", {},
                            {grpc_match("", ""), grpc_match("", "AVeryLongMethodName"), grpc_match("a.B", "Get"),
                             grpc_match("a.Long", ""), grpc_match("a.Long", "Get"), with_header}))
            .plan();
    std::vector<std::string> order;
    for (const HttpEntry& entry : plan.http.at(0).listeners.at(0).hosts.at(0).entries)
        order.push_back(entry.match->path.value + (entry.match->headers.empty() ? "" : " header"));
    EXPECT_EQ(order, (std::vector<std::string>{"/a.Long/Get header", "/a.Long/Get", "/a.Long", "/a.B/Get",
                                               "/[^/]+/AVeryLongMethodName", "/"}));
}

TEST(GrpcPlan, WhatIsNotSupportedIsRefusedByField)
{
    struct Row {
        const char* claim;
        model::GrpcMatch match;
        bool filter;
        const char* in_message;
    };
    model::GrpcMatch bad_header = grpc_match("a", "b");
    bad_header.headers = {{ValueMatchType::RegularExpression, "x", "("}};
    const Row rows[] = {
        {"service", grpc_match("(", "", ValueMatchType::RegularExpression), false, "matches[0].method.service"},
        {"method", grpc_match("", "[", ValueMatchType::RegularExpression), false, "matches[0].method.method"},
        {"a parenthesis in each", grpc_match("(", ")", ValueMatchType::RegularExpression), false, "method.service"},
        {"header", bad_header, false, "matches[0].headers[0].value"},
        {"filter", grpc_match("a", "b"), true, "spec.rules[0].filters[0]"},
    };
    for (const Row& row : rows) {
        model::GrpcRoute route = grpc_route("r", {}, {row.match});
        if (row.filter)
            route.rules[0].filters.types = {"RequestMirror"};
        const Plan plan = grpc_world().add(route).plan();
        EXPECT_EQ(route_outcome(plan, "GRPCRoute", "r", "Accepted"), "False/UnsupportedValue") << row.claim;
        const std::string text = route_message(plan, "GRPCRoute", "r", "Accepted");
        EXPECT_NE(text.find(row.in_message), std::string::npos) << row.claim << ": " << text;
        EXPECT_TRUE(plan.http.at(0).listeners.at(0).rules.empty()) << row.claim;
    }
}

TEST(GrpcPlan, ARuleThatIsNotSupportedIsDroppedAlone)
{
    model::GrpcRoute route = grpc_route("r", {}, {grpc_match("(", "", ValueMatchType::RegularExpression)});
    route.rules.resize(3, model::GrpcRouteRule(route.rules[0]));
    route.rules[1].matches = {grpc_match("a.B", "Get")};
    route.rules[1].filters.types = {"RequestMirror"};
    route.rules[2].matches = {grpc_match("", "")};
    const Plan plan = grpc_world().add(route).plan();
    EXPECT_EQ(route_outcome(plan, "GRPCRoute", "r", "Accepted"), "True/Accepted");
    EXPECT_EQ(route_outcome(plan, "GRPCRoute", "r", "PartiallyInvalid"), "True/UnsupportedValue");
    const std::string text = route_message(plan, "GRPCRoute", "r", "PartiallyInvalid");
    EXPECT_TRUE(text.starts_with("Dropped Rule spec.rules[0].matches[0].method.service")) << text;
    EXPECT_NE(text.find("Dropped Rule spec.rules[1].filters[0].type RequestMirror"), std::string::npos) << text;
    const HttpListener& web = plan.http.at(0).listeners.at(0);
    const std::vector<HttpEntry>& entries = web.hosts.at(0).entries;
    ASSERT_EQ(entries.size(), 2U);
    EXPECT_EQ(entries[0].rule->name, "default/r/1");
    EXPECT_TRUE(entries[0].rule->grpc);
    EXPECT_TRUE(entries[0].rule->backends.empty());
    EXPECT_EQ(entries[1].rule->name, "default/r/2");
    EXPECT_EQ(entries[1].rule->backends.size(), 1U);
}

TEST(GrpcPlan, HttpAndHttpsListenersTakeIt)
{
    const Plan plan =
        grpc_world({listener("web", "HTTP", 80), tls_listener("tls", "HTTPS", 443), listener("tcp", "TCP", 9000)})
            .add(grpc_route("r"))
            .plan();
    EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, 1U);
    EXPECT_EQ(listener_of(plan, "gw", "tls").attached_routes, 1U);
    EXPECT_EQ(listener_of(plan, "gw", "tcp").attached_routes, 0U);
    EXPECT_EQ(plan.http.size(), 2U);
}

TEST(GrpcPlan, OfAnHttpRouteAndAGrpcRouteWithAHostInCommonTheOlderServes)
{
    struct Row {
        const char* claim;
        const char* grpc_host;
        const char* http_host;
        const char* grpc_created;
        const char* grpc_accepted;
        const char* http_accepted;
    };
    constexpr const char* kHttpCreated = "2021-01-01T00:00:00Z";
    constexpr const char* kOlder = "2020-01-01T00:00:00Z";
    constexpr const char* kYounger = "2022-01-01T00:00:00Z";
    const Row rows[] = {
        {"the same host", "a.org", "a.org", kOlder, "True/Accepted", "False/HostnameConflict"},
        {"the younger one", "a.org", "a.org", kYounger, "False/HostnameConflict", "True/Accepted"},
        {"a tie goes by name", "a.org", "a.org", kHttpCreated, "True/Accepted", "False/HostnameConflict"},
        {"a wildcard over it", "*.a.org", "x.a.org", kOlder, "True/Accepted", "False/HostnameConflict"},
        {"under a wildcard", "x.a.org", "*.a.org", kOlder, "True/Accepted", "False/HostnameConflict"},
        {"a wildcard over a wildcard", "*.org", "*.a.org", kOlder, "True/Accepted", "False/HostnameConflict"},
        {"every host", "", "a.org", kOlder, "True/Accepted", "False/HostnameConflict"},
        {"under every host", "a.org", "", kOlder, "True/Accepted", "False/HostnameConflict"},
        {"different hosts", "a.org", "b.org", kOlder, "True/Accepted", "True/Accepted"},
        {"a wildcard beside it", "*.a.org", "a.org", kOlder, "True/Accepted", "True/Accepted"},
    };
    for (const Row& row : rows) {
        const auto hosts = [](const char* host) {
            return *host == '\0' ? std::vector<std::string>{} : std::vector<std::string>{host};
        };
        model::HttpRoute http = http_route("h", {parent("gw")}, hosts(row.http_host));
        http.meta.creation_timestamp = kHttpCreated;
        const Plan plan =
            grpc_world().add(http).add(grpc_route("g", hosts(row.grpc_host), {{}}, row.grpc_created)).plan();
        EXPECT_EQ(route_outcome(plan, "GRPCRoute", "g", "Accepted"), row.grpc_accepted) << row.claim;
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "h", "Accepted"), row.http_accepted) << row.claim;
        for (const HttpHost& host : plan.http.at(0).listeners.at(0).hosts)
            EXPECT_EQ(host.entries.size(), 1U) << row.claim;
    }
}

TEST(GrpcPlan, AConflictOnOneListenerLeavesTheOthersAlone)
{
    World world = grpc_world({listener("web", "HTTP", 80), listener("other", "HTTP", 81)});
    model::HttpRoute http = http_route("h", {parent("gw", "web")}, {"a.org"});
    http.meta.creation_timestamp = "2020-01-01T00:00:00Z";
    const Plan plan = world.add(http).add(grpc_route("g", {"a.org"}, {{}}, "2021-01-01T00:00:00Z")).plan();
    EXPECT_EQ(route_outcome(plan, "GRPCRoute", "g", "Accepted"), "True/Accepted");
    EXPECT_NE(route_message(plan, "GRPCRoute", "g", "Accepted").find("web"), std::string::npos);
    EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, 1U);
    EXPECT_EQ(listener_of(plan, "gw", "other").attached_routes, 1U);
}

TEST(AppProtocol, OfTheServicePortDecidesForHttpRoutes)
{
    struct Row {
        const char* app_protocol;
        AppProtocol expected;
    };
    for (const Row& row : {Row{"", AppProtocol::Http1}, Row{"kubernetes.io/h2c", AppProtocol::Http2},
                           Row{"kubernetes.io/ws", AppProtocol::Http1}, Row{"HTTPS", AppProtocol::Http1}}) {
        World world;
        model::Service web = service("web");
        web.ports[0].app_protocol = row.app_protocol;
        const Plan plan = world.add(gateway("gw", {listener("web", "HTTP", 80)})).add(web).add(http_route("r")).plan();
        EXPECT_EQ(plan.http.at(0).listeners.at(0).rules.at(0)->backends.at(0).app_protocol, row.expected)
            << row.app_protocol;
    }
}

}  // namespace
}  // namespace sluice::plan::test
