// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

using enum model::PathMatchType;

World web_world(const std::string& hostname = "")
{
    World world;
    world.add(gateway("gw", {listener("web", "HTTP", 80, hostname)}))
        .add(service("web"))
        .add(slice("web", {endpoint("10.0.0.1")}));
    return world;
}

std::vector<std::string> hosts_of(const HttpListener& served)
{
    std::vector<std::string> names;
    for (const HttpHost& host : served.hosts)
        names.push_back(host.hostname);
    return names;
}

// "path -> rule name" of a host's entries, in order.
std::vector<std::string> entries_of(const HttpListener& served, std::size_t host)
{
    std::vector<std::string> texts;
    for (const HttpEntry& entry : served.hosts.at(host).entries)
        texts.push_back(entry.match->path.value + " -> " + entry.rule->name);
    return texts;
}

TEST(HttpPlan, AListenerWithoutRoutesIsServedWith404)
{
    const Plan plan = web_world("X.org").plan();
    ASSERT_EQ(plan.http.size(), 1U);
    EXPECT_EQ(plan.http[0].port, 80);
    EXPECT_EQ(plan.http[0].listeners.at(0).hostname, "x.org");
    EXPECT_TRUE(plan.http[0].listeners[0].hosts.empty());
}

TEST(HttpPlan, HostsAreOrderedFromTheMostSpecific)
{
    const Plan plan = web_world()
                          .add(http_route("a", {parent("gw")}, {"*.example.com", "b.example.com"}))
                          .add(http_route("b", {parent("gw")}, {"*.com", "a.example.com"}))
                          .add(http_route("c"))
                          .plan();
    const std::vector<std::string> expected = {"a.example.com", "b.example.com", "*.example.com", "*.com", ""};
    EXPECT_EQ(hosts_of(plan.http.at(0).listeners.at(0)), expected);
}

TEST(HttpPlan, ARouteServesTheIntersectionWithItsListener)
{
    struct Row {
        const char* listener_hostname;
        std::vector<std::string> route_hostnames;
        std::vector<std::string> served;
    };
    const Row rows[] = {
        {"", {}, {""}},
        {"a.example.com", {}, {"a.example.com"}},
        {"a.example.com", {"*.example.com"}, {"a.example.com"}},
        {"*.example.com", {"A.example.com", "b.org"}, {"a.example.com"}},
        {"*.example.com", {"*.com"}, {"*.example.com"}},
        {"*.example.com", {"*.a.example.com"}, {"*.a.example.com"}},
    };
    for (const Row& row : rows) {
        World world = web_world(row.listener_hostname);
        const Plan plan = world.add(http_route("r", {parent("gw")}, row.route_hostnames)).plan();
        EXPECT_EQ(hosts_of(plan.http.at(0).listeners.at(0)), row.served) << row.listener_hostname;
    }
}

TEST(HttpPlan, EntriesOfAHostStandInPrecedenceAcrossRoutes)
{
    const Plan plan =
        web_world()
            .add(http_route("a", {parent("gw")}, {},
                            {rule({backend("web")}, {match(PathPrefix, "/"), match(PathPrefix, "/long")})}))
            .add(http_route("b", {parent("gw")}, {},
                            {rule({backend("web")}, {match(PathPrefix, "/lo")}),
                             rule({backend("web")}, {match(Exact, "/l"), match(RegularExpression, "/x+")})}))
            .plan();
    const std::vector<std::string> expected = {"/l -> default/b/1", "/x+ -> default/b/1", "/long -> default/a/0",
                                               "/lo -> default/b/0", "/ -> default/a/0"};
    EXPECT_EQ(entries_of(plan.http.at(0).listeners.at(0), 0), expected);
}

TEST(HttpPlan, TheRoutesOwnHostnameDecidesBetweenRoutesThatMeetInOneHost)
{
    const Plan plan = web_world("a.example.com")
                          .add(http_route("any", {parent("gw")}, {}, {rule({}, {match(Exact, "/long/path")})}))
                          .add(http_route("exact", {parent("gw")}, {"a.example.com"}, {rule({}, {match(Exact, "/x")})}))
                          .add(http_route("wild", {parent("gw")}, {"*.example.com"}, {rule({}, {match(Exact, "/xy")})}))
                          .plan();
    const std::vector<std::string> expected = {"/x -> default/exact/0", "/xy -> default/wild/0",
                                               "/long/path -> default/any/0"};
    EXPECT_EQ(entries_of(plan.http.at(0).listeners.at(0), 0), expected);
}

TEST(HttpPlan, OfHeadersAndQueryParametersWithOneNameTheFirstCounts)
{
    model::HttpMatch repeated;
    const auto exact = model::ValueMatchType::Exact;
    repeated.headers = {{exact, "X-A", "1"}, {exact, "x-b", "2"}, {exact, "x-a", "3"}};
    repeated.query_params = {{exact, "q", "1"}, {exact, "Q", "2"}, {exact, "q", "3"}};
    const Plan plan = web_world().add(http_route("r", {parent("gw")}, {}, {rule({}, {repeated})})).plan();
    const model::HttpMatch served = *plan.http.at(0).listeners.at(0).hosts.at(0).entries.at(0).match;
    EXPECT_EQ(served.headers, (std::vector<model::ValueMatch>{{exact, "X-A", "1"}, {exact, "x-b", "2"}}));
    EXPECT_EQ(served.query_params, (std::vector<model::ValueMatch>{{exact, "q", "1"}, {exact, "Q", "2"}}));
}

TEST(HttpPlan, WhatIsNotSupportedRefusesTheWholeRouteByField)
{
    model::HttpRoute rule_filter = http_route("r");
    rule_filter.rules[0].filters.types = {"RequestRedirect", "URLRewrite"};
    model::HttpRoute backend_filter = http_route("r");
    backend_filter.rules[0].backend_refs[0].filters.types = {"RequestHeaderModifier"};
    model::HttpRoute path = http_route("r");
    path.rules[0].matches = {match(PathPrefix, "/"), match(RegularExpression, "/(")};
    model::HttpRoute header = http_route("r");
    header.rules[0].matches[0].headers = {{model::ValueMatchType::RegularExpression, "h", "[z-a]"}};
    model::HttpRoute query = http_route("r");
    query.rules[0].matches[0].query_params = {{model::ValueMatchType::RegularExpression, "q", "a(?=b)"}};
    model::HttpRoute bomb = http_route("r");
    bomb.rules[0].matches = {match(RegularExpression, "/a{1000}b{1000}c{1000}d{1000}e{1000}f{1000}")};
    struct Row {
        model::HttpRoute route;
        const char* in_message;
    };
    const Row rows[] = {
        {rule_filter, "spec.rules[0].filters[1].type URLRewrite"},
        {backend_filter, "spec.rules[0].backendRefs[0].filters[0].type RequestHeaderModifier"},
        {path, "spec.rules[0].matches[1].path.value: \"/(\""},
        {header, "spec.rules[0].matches[0].headers[0].value"},
        {query, "spec.rules[0].matches[0].queryParams[0].value"},
        {bomb, "pattern too large"},
    };
    for (const Row& row : rows) {
        const Plan plan = web_world().add(row.route).add(http_route("good")).plan();
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "False/UnsupportedValue") << row.in_message;
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"), "True/ResolvedRefs") << row.in_message;
        const std::string text = route_message(plan, "HTTPRoute", "r", "Accepted");
        EXPECT_NE(text.find(row.in_message), std::string::npos) << text;
        EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, 1U) << row.in_message;
        EXPECT_EQ(plan.http.at(0).listeners.at(0).rules.size(), 1U) << row.in_message;
    }
}

TEST(HttpPlan, GoodRegularExpressionsAreAccepted)
{
    model::HttpRoute route = http_route("r");
    route.rules[0].matches = {match(RegularExpression, "/v[0-9]+/.*")};
    route.rules[0].matches[0].headers = {{model::ValueMatchType::RegularExpression, "h", "a|b"}};
    const Plan plan = web_world().add(route).plan();
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "True/Accepted");
}

TEST(HttpPlan, RulesCarryWeightsTimeoutsAndInvalidShares)
{
    model::HttpRoute route = http_route("r", {parent("gw")}, {},
                                        {rule({backend("web", 80, 7), backend("web", 80, 0), backend("none", 80, 3)}),
                                         rule({backend("web", 80, 0)}), rule({})});
    route.rules[0].request_timeout_ms = 500;
    route.rules[0].backend_request_timeout_ms = 200;
    const Plan plan = web_world().add(route).plan();
    const std::vector<Shared<HttpRule>>& rules = plan.http.at(0).listeners.at(0).rules;
    ASSERT_EQ(rules.size(), 3U);
    ASSERT_EQ(rules[0]->backends.size(), 2U);
    EXPECT_EQ(rules[0]->backends[0].weight, 7U);
    EXPECT_EQ(rules[0]->backends[0].endpoints.at(0).to_string(), "10.0.0.1:8080");
    EXPECT_FALSE(rules[0]->backends[1].valid);
    EXPECT_EQ(rules[0]->backends[1].weight, 3U);
    EXPECT_EQ(rules[0]->request_timeout_ms, 500U);
    EXPECT_EQ(rules[0]->backend_request_timeout_ms, 200U);
    EXPECT_TRUE(rules[1]->backends.empty());
    EXPECT_TRUE(rules[2]->backends.empty());
    EXPECT_EQ(rules[2]->request_timeout_ms, 0U);
}

TEST(HttpPlan, ListenersOfAPortStayApartForIsolation)
{
    World world;
    world
        .add(gateway("gw", {listener("any", "HTTP", 80), listener("wild", "HTTP", 80, "*.example.com"),
                            listener("exact", "HTTP", 80, "a.example.com"), listener("alt", "HTTP", 8080)}))
        .add(http_route("r", {parent("gw", "any")}))
        .add(http_route("s", {parent("gw", "exact")}));
    const Plan plan = world.plan();
    ASSERT_EQ(plan.http.size(), 2U);
    EXPECT_EQ(plan.http[0].port, 80);
    EXPECT_EQ(plan.http[1].port, 8080);
    const std::vector<HttpListener>& listeners = plan.http[0].listeners;
    ASSERT_EQ(listeners.size(), 3U);
    EXPECT_EQ(listeners[0].name, "default/gw/any");
    EXPECT_EQ(listeners[0].rules.at(0)->name, "default/r/0");
    EXPECT_EQ(listeners[1].name, "default/gw/exact");
    EXPECT_EQ(listeners[1].rules.at(0)->name, "default/s/0");
    EXPECT_EQ(listeners[2].name, "default/gw/wild");
    EXPECT_TRUE(listeners[2].rules.empty());
}

}  // namespace
}  // namespace sluice::plan::test
