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

TEST(HttpPlan, PathsOfThePlanAreCanonical)
{
    struct Row {
        model::HttpMatch written;
        const char* planned;
    };
    const Row rows[] = {
        {match(PathPrefix, "/"), "/"},
        {match(PathPrefix, "/api"), "/api"},
        {match(PathPrefix, "/api/"), "/api"},
        {match(PathPrefix, "/%61pi/v1/"), "/api/v1"},
        {match(PathPrefix, "/a/%2e%2e"), "/"},
        {match(Exact, "/"), "/"},
        {match(Exact, "/pay/"), "/pay/"},
        {match(Exact, "/%70ay/%c3%a4"), "/pay/%C3%A4"},
        {match(RegularExpression, "/%70ay/"), "/%70ay/"},
    };
    for (const Row& row : rows) {
        const Plan plan = web_world().add(http_route("r", {parent("gw")}, {}, {rule({}, {row.written})})).plan();
        const HttpEntry& entry = plan.http.at(0).listeners.at(0).hosts.at(0).entries.at(0);
        EXPECT_EQ(entry.match->path, (model::PathMatch{row.written.path.type, row.planned})) << row.written.path.value;
    }
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

// A rule that is not supported, and what is said of it.
struct UnsupportedRule {
    const char* claim;
    model::HttpRouteRule rule;
    const char* in_message;
};

model::HttpRouteRule modifying(model::HeaderModifier modifier, const char* type = "RequestHeaderModifier")
{
    model::HttpRouteRule result = rule({backend("web")}, {match(PathPrefix, "/bad")});
    result.filters.types = {type};
    (type == std::string("RequestHeaderModifier") ? result.filters.request_headers : result.filters.response_headers) =
        std::move(modifier);
    return result;
}

std::vector<UnsupportedRule> with_unsupported_matches()
{
    const auto regex = model::ValueMatchType::RegularExpression;
    const auto matching = [](std::vector<model::HttpMatch> all) { return rule({backend("web")}, std::move(all)); };
    model::HttpMatch header;
    header.headers = {{regex, "h", "[z-a]"}};
    model::HttpMatch query;
    query.query_params = {{regex, "q", "a(?=b)"}};
    return {
        {"path", matching({match(PathPrefix, "/"), match(RegularExpression, "/(")}), "matches[1].path.value: \"/(\""},
        {"header", matching({header}), "matches[0].headers[0].value"},
        {"query parameter", matching({query}), "matches[0].queryParams[0].value"},
        {"large expression", matching({match(RegularExpression, "/a{1000}b{1000}c{1000}d{1000}e{1000}f{1000}")}),
         "pattern too large"},
        {"backslash", matching({match(PathPrefix, "/a%5cb")}), "matches[0].path.value: \"/a%5cb\""},
        {"above the root", matching({match(Exact, "/%2e%2e/a")}), "matches[0].path.value: \"/%2e%2e/a\""},
        {"masked dots", matching({match(Exact, "/..;/a")}), "matches[0].path.value: \"/..;/a\""},
    };
}

std::vector<UnsupportedRule> with_unsupported_filters()
{
    model::HttpRouteRule filter = rule({backend("web")}, {match(PathPrefix, "/bad")});
    filter.filters.types = {"RequestRedirect", "URLRewrite"};
    model::HttpRouteRule backend_filter = rule({backend("web")}, {match(PathPrefix, "/bad")});
    backend_filter.backend_refs[0].filters.types = {"RequestHeaderModifier"};
    return {
        {"filter", filter, "filters[1].type URLRewrite is not supported here; supported: RequestHeaderModifier"},
        {"backend's filter", backend_filter, "backendRefs[0].filters[0].type RequestHeaderModifier"},
        {"the gateway's own header", modifying({.set = {}, .add = {{"Host", "a"}}, .remove = {}}),
         "filters[0].requestHeaderModifier.add[0]: Host is written by the gateway itself"},
        {"set twice", modifying({.set = {{"x-a", "1"}, {"x-b", "2"}, {"X-A", "3"}}, .add = {}, .remove = {}}),
         "filters[0].requestHeaderModifier.set[2]: a second action on X-A"},
        {"added twice", modifying({.set = {}, .add = {{"x-a", "1"}, {"X-a", "3"}}, .remove = {}}),
         "requestHeaderModifier.add[1]: a second action on X-a"},
        {"removed twice", modifying({.set = {}, .add = {}, .remove = {"X-A", "x-b", "x-a"}}),
         "requestHeaderModifier.remove[2]: a second action on x-a"},
        {"set and added", modifying({.set = {{"x-a", "1"}}, .add = {{"X-A", "2"}}, .remove = {}}),
         "requestHeaderModifier.add[0]: a second action on X-A"},
        {"set and removed", modifying({.set = {{"x-a", "1"}}, .add = {}, .remove = {"X-A"}}, "ResponseHeaderModifier"),
         "filters[0].responseHeaderModifier.remove[0]: a second action on X-A"},
        {"added and removed",
         modifying({.set = {}, .add = {{"x-a", "1"}}, .remove = {"X-A"}}, "ResponseHeaderModifier"),
         "filters[0].responseHeaderModifier.remove[0]: a second action on X-A"},
    };
}

void expect_refused(const UnsupportedRule& row)
{
    const model::HttpRoute route = http_route("r", {parent("gw")}, {}, {row.rule});
    const Plan plan = web_world().add(route).add(http_route("good")).plan();
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "False/UnsupportedValue") << row.claim;
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"), "True/ResolvedRefs") << row.claim;
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "PartiallyInvalid"), "none") << row.claim;
    const std::string text = route_message(plan, "HTTPRoute", "r", "Accepted");
    EXPECT_TRUE(text.starts_with("spec.rules[0].")) << row.claim << ": " << text;
    EXPECT_NE(text.find(row.in_message), std::string::npos) << row.claim << ": " << text;
    EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, 1U) << row.claim;
    EXPECT_EQ(plan.http.at(0).listeners.at(0).rules.size(), 1U) << row.claim;
}

TEST(HttpPlan, ARouteOfWhichNoRuleIsSupportedIsRefusedByField)
{
    for (const UnsupportedRule& row : with_unsupported_matches())
        expect_refused(row);
    for (const UnsupportedRule& row : with_unsupported_filters())
        expect_refused(row);
}

// The plan of a route whose second rule is the one given; the first and the third have nothing wrong.
Plan plan_amid_good_rules(const UnsupportedRule& row)
{
    const Plan plan =
        web_world()
            .add(http_route("r", {parent("gw"), parent("gw", "none")}, {},
                            {rule({backend("web")}), row.rule, rule({backend("web")}, {match(PathPrefix, "/good")})}))
            .plan();
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "True/Accepted") << row.claim;
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "PartiallyInvalid"), "True/UnsupportedValue") << row.claim;
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "PartiallyInvalid", 1), "none") << row.claim << ": not accepted";
    const std::string text = route_message(plan, "HTTPRoute", "r", "PartiallyInvalid");
    EXPECT_TRUE(text.starts_with("Dropped Rule spec.rules[1].")) << row.claim << ": " << text;
    EXPECT_NE(text.find(row.in_message), std::string::npos) << row.claim << ": " << text;
    EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, 1U) << row.claim;
    return plan;
}

TEST(HttpPlan, ARuleWhoseMatchesAreNotSupportedIsDroppedAlone)
{
    for (const UnsupportedRule& row : with_unsupported_matches()) {
        const Plan plan = plan_amid_good_rules(row);
        const std::vector<std::string> expected = {"/good -> default/r/2", "/ -> default/r/0"};
        EXPECT_EQ(entries_of(plan.http.at(0).listeners.at(0), 0), expected) << row.claim;
    }
}

TEST(HttpPlan, WhatAFilterThatIsNotSupportedWasForReachesNoBackendByAnotherRule)
{
    for (const UnsupportedRule& row : with_unsupported_filters()) {
        const Plan plan = plan_amid_good_rules(row);
        const HttpListener& served = plan.http.at(0).listeners.at(0);
        const std::vector<std::string> expected = {"/good -> default/r/2", "/bad -> default/r/1", "/ -> default/r/0"};
        EXPECT_EQ(entries_of(served, 0), expected) << row.claim;
        EXPECT_TRUE(served.rules.at(1)->backends.empty()) << row.claim << ": answered 500";
        EXPECT_EQ(served.rules.at(1)->filters, model::Filters()) << row.claim;
        EXPECT_EQ(served.rules.at(2)->backends.size(), 1U) << row.claim;
    }
}

TEST(HttpPlan, EachDroppedRuleIsNamedAndItsReferencesAreResolved)
{
    model::HttpRouteRule filter = rule({backend("missing")}, {match(PathPrefix, "/a")});
    filter.filters.types = {"CORS"};
    const Plan plan =
        web_world()
            .add(http_route("r", {parent("gw")}, {},
                            {rule({backend("lost")}, {match(RegularExpression, "(")}), filter, rule({backend("web")})}))
            .plan();
    const std::string text = route_message(plan, "HTTPRoute", "r", "PartiallyInvalid");
    EXPECT_TRUE(text.starts_with("Dropped Rule spec.rules[0].matches[0].path.value")) << text;
    EXPECT_NE(text.find(". Dropped Rule spec.rules[1].filters[0].type CORS"), std::string::npos) << text;
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"), "False/BackendNotFound");
    const std::string lost = route_message(plan, "HTTPRoute", "r", "ResolvedRefs");
    EXPECT_NE(lost.find("spec.rules[0].backendRefs[0]"), std::string::npos) << lost;
    EXPECT_NE(lost.find("spec.rules[1].backendRefs[0]"), std::string::npos) << lost;
}

TEST(HttpPlan, OfManyDroppedRulesWithLongMessagesTheLastAreOnlyNamed)
{
    const std::string bad(1000, '(');
    std::vector<model::HttpRouteRule> rules(15, rule({backend("web")}, {match(RegularExpression, bad)}));
    rules.push_back(rule({backend("web")}));
    const Plan plan = web_world().add(http_route("r", {parent("gw")}, {}, rules)).plan();
    const std::string text = route_message(plan, "HTTPRoute", "r", "PartiallyInvalid");
    EXPECT_LT(text.size(), 4000U);
    EXPECT_TRUE(text.ends_with(". Dropped Rule spec.rules[13]. Dropped Rule spec.rules[14]")) << text;
}

TEST(HttpPlan, OneActionForEachHeaderNameIsAccepted)
{
    model::HttpRouteRule both = modifying({.set = {{"x-a", "1"}}, .add = {{"x-b", "1"}}, .remove = {"x-c", "x-aa"}});
    both.filters.types.push_back("ResponseHeaderModifier");
    both.filters.response_headers = {.set = {{"x-b", "1"}}, .add = {{"x-c", "1"}}, .remove = {"x-a"}};
    const Plan plan = web_world().add(http_route("r", {parent("gw")}, {}, {both})).plan();
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "True/Accepted");
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "PartiallyInvalid"), "none");
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
