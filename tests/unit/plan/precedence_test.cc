// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/precedence.h"

#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

using enum model::PathMatchType;

model::HttpMatch with(model::HttpMatch base, const char* method, int headers = 0, int query = 0)
{
    base.method = method;
    for (int i = 0; i < headers; ++i)
        base.headers.push_back({model::ValueMatchType::Exact, "h" + std::to_string(i), "v"});
    for (int i = 0; i < query; ++i)
        base.query_params.push_back({model::ValueMatchType::Exact, "q" + std::to_string(i), "v"});
    return base;
}

TEST(Precedence, FirstDifferenceInTheApisOrderDecides)
{
    struct Row {
        const char* claim;
        Shared<model::HttpMatch> first;
        Shared<model::HttpMatch> second;
    };
    const Row rows[] = {
        {"Exact before a longer prefix", match(Exact, "/a"), match(PathPrefix, "/a/long/prefix")},
        {"Exact before a longer expression", match(Exact, "/a"), match(RegularExpression, "/a/.*/b")},
        {"expression before a longer prefix", match(RegularExpression, "/a.*"), match(PathPrefix, "/a/long/prefix")},
        {"longer expression first", match(RegularExpression, "/a/b.*"), match(RegularExpression, "/a.*")},
        {"longer prefix first", match(PathPrefix, "/a/b"), match(PathPrefix, "/a")},
        {"longer prefix before method", match(PathPrefix, "/ab"), with(match(PathPrefix, "/a"), "GET", 2, 2)},
        {"of exact paths a method before length", with(match(Exact, "/a"), "GET"), match(Exact, "/a/long/path")},
        {"of exact paths headers before length", with(match(Exact, "/a"), "", 1), match(Exact, "/a/long/path")},
        {"method before none", with(match(PathPrefix, "/"), "GET"), match(PathPrefix, "/")},
        {"method before headers", with(match(PathPrefix, "/"), "GET"), with(match(PathPrefix, "/"), "", 3, 3)},
        {"more headers first", with(match(PathPrefix, "/"), "", 2), with(match(PathPrefix, "/"), "", 1)},
        {"headers before query", with(match(PathPrefix, "/"), "", 1), with(match(PathPrefix, "/"), "", 0, 3)},
        {"more query parameters first", with(match(PathPrefix, "/"), "", 1, 2), with(match(PathPrefix, "/"), "", 1, 1)},
    };
    for (const Row& row : rows) {
        // The loser has the earlier rule, so that nothing but the match decides.
        const Candidate first{&row.first, "", 1, 0};
        const Candidate second{&row.second, "", 0, 0};
        EXPECT_TRUE(has_precedence(first, second)) << row.claim;
        EXPECT_FALSE(has_precedence(second, first)) << row.claim;
    }
}

TEST(Precedence, TheLengthOfAnExactPathSaysNothing)
{
    const Shared<model::HttpMatch> path = match(Exact, "/a");
    const Shared<model::HttpMatch> longer = match(Exact, "/a/long/path");
    EXPECT_TRUE(has_precedence({&path, "", 0, 0}, {&longer, "", 1, 0}));
    EXPECT_FALSE(has_precedence({&longer, "", 1, 0}, {&path, "", 0, 0}));
}

TEST(Precedence, EqualMatchesFallBackToRuleThenMatchOrder)
{
    const Shared<model::HttpMatch> same = match(PathPrefix, "/");
    EXPECT_TRUE(has_precedence({&same, "", 0, 5}, {&same, "", 1, 0}));
    EXPECT_TRUE(has_precedence({&same, "", 1, 0}, {&same, "", 1, 1}));
    EXPECT_FALSE(has_precedence({&same, "", 1, 0}, {&same, "", 1, 0}));
}

TEST(Precedence, TheRoutesOwnHostnameComesBeforeThePath)
{
    const Shared<model::HttpMatch> prefix = match(PathPrefix, "/");
    const Shared<model::HttpMatch> exact = match(Exact, "/long/path");
    EXPECT_TRUE(has_precedence({&prefix, "a.example.com", 1, 0}, {&exact, "*.example.com", 0, 0}));
    EXPECT_TRUE(has_precedence({&prefix, "*.example.com", 1, 0}, {&exact, "*.com", 0, 0}));
    EXPECT_TRUE(has_precedence({&prefix, "*.com", 1, 0}, {&exact, "", 0, 0}));
}

// Two routes on one path: which rule comes first.
std::string first_rule(model::HttpRoute a, model::HttpRoute b)
{
    World world;
    world.add(gateway("gw", {listener("web", "HTTP", 80)})).add(std::move(a)).add(std::move(b));
    const HttpListener served = world.plan().http.at(0).listeners.at(0);
    return served.hosts.at(0).entries.at(0).rule->name;
}

TEST(Precedence, TheOlderRouteWinsATie)
{
    model::HttpRoute young = http_route("a-young");
    young.meta.creation_timestamp = "2026-01-02T00:00:00Z";
    model::HttpRoute old = http_route("b-old");
    old.meta.creation_timestamp = "2026-01-01T00:00:00Z";
    EXPECT_EQ(first_rule(young, old), "default/b-old/0");
}

TEST(Precedence, NamespaceAndNameAsOneTextBreakATieOfAge)
{
    struct Row {
        const char* claim;
        const char* first_ns;
        const char* first;
        const char* second_ns;
        const char* second;
    };
    const Row rows[] = {
        {"by name within a namespace", "team", "a", "team", "b"},
        {"by namespace before name", "aaa", "z", "team", "a"},
        {"'-' comes before the '/' between them", "team-a", "z", "team", "a"},
        {"letters come behind it", "team", "z", "teama", "a"},
    };
    for (const Row& row : rows) {
        World world;
        model::Gateway open = gateway("gw", {listener("web", "HTTP", 80)});
        open.listeners[0].allowed_routes.from = model::AllowedRoutes::From::All;
        world.add(open);
        const auto add = [&](const char* ns, const char* name) {
            model::HttpRoute route = http_route(name);
            route.meta.ns = ns;
            route.parent_refs[0].ns = "default";
            world.add(route);
        };
        add(row.second_ns, row.second);
        add(row.first_ns, row.first);
        const HttpListener served = world.plan().http.at(0).listeners.at(0);
        EXPECT_EQ(served.hosts.at(0).entries.at(0).rule->name, std::string(row.first_ns) + "/" + row.first + "/0")
            << row.claim;
    }
}

TEST(Precedence, AnotherSpellingOfAPathTakesNothingFromAnOlderRoute)
{
    struct Row {
        const char* claim;
        model::HttpMatch older;
        model::HttpMatch younger;
    };
    const Row rows[] = {
        {"an escaped letter of a prefix", match(PathPrefix, "/api/v1"), match(PathPrefix, "/%61pi/v1")},
        {"an escaped letter of an exact path", match(Exact, "/pay"), match(Exact, "/%70ay")},
        {"a '/' behind a prefix", match(PathPrefix, "/api/v1"), match(PathPrefix, "/api/v1/")},
        {"an escaped dot segment", match(PathPrefix, "/api"), match(PathPrefix, "/long/%2e%2e/api")},
        {"lower case in an escape", match(PathPrefix, "/%C3%A4"), match(PathPrefix, "/%c3%a4")},
        {"a prefix that is the root", match(PathPrefix, "/"), match(PathPrefix, "/a/%2e%2e/")},
    };
    for (const Row& row : rows) {
        model::HttpRoute old = http_route("z", {parent("gw")}, {}, {rule({}, {row.older})});
        old.meta.creation_timestamp = "2026-01-01T00:00:00Z";
        model::HttpRoute young = http_route("a", {parent("gw")}, {}, {rule({}, {row.younger})});
        young.meta.creation_timestamp = "2026-01-02T00:00:00Z";
        EXPECT_EQ(first_rule(young, old), "default/z/0") << row.claim;
    }
}

TEST(Precedence, TheEarlierRuleOfARouteWinsATieEvenWithAnInvalidBackend)
{
    World world;
    world.add(gateway("gw", {listener("web", "HTTP", 80)}))
        .add(service("web"))
        .add(http_route("r", {parent("gw")}, {}, {rule({backend("missing")}), rule({backend("web")})}));
    const HttpListener served = world.plan().http.at(0).listeners.at(0);
    EXPECT_EQ(served.hosts.at(0).entries.at(0).rule->name, "default/r/0");
    EXPECT_FALSE(served.rules.at(0)->backends.at(0).valid);
}

}  // namespace
}  // namespace sluice::plan::test
