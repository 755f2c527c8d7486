// SPDX-License-Identifier: Apache-2.0
// Which entry of a host a path leads to: by element, in canonical form, in the plan's order, at any number of routes.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/proxy/router_fixture.h"

namespace sluice::proxy {
namespace {

using namespace test;

struct Row {
    std::string path;
    std::string rule;
};

void expect_rules(const std::vector<model::HttpMatch>& matches, const std::vector<Row>& rows)
{
    const plan::HttpPort port = port_of(matches);
    const auto router = Router::make(port);
    for (const Row& row : rows)
        EXPECT_EQ(rule_for(*router, get("a", row.path)), row.rule) << row.path;
}

TEST(RouterPath, APrefixMatchesByElement)
{
    const std::vector<Row> rows{{"/v2", "0"}, {"/v2/", "0"}, {"/v2/x", "0"}, {"/v2/x/y", "0"}, {"/v2example", "-"},
                                {"/v", "-"},  {"/", "-"},    {"/V2", "-"},   {"/x/v2", "-"},   {"*", "-"}};
    expect_rules({prefix("/v2")}, rows);
    expect_rules({prefix("/v2/")}, rows);
    expect_rules({prefix("/")}, {{"/", "0"}, {"/x", "0"}, {"/x/y/", "0"}, {"*", "0"}});
    expect_rules({prefix("/a/b")}, {{"/a", "-"}, {"/a/b", "0"}, {"/a/b/c", "0"}, {"/a/bc", "-"}, {"/b", "-"}});
}

TEST(RouterPath, AnExactPathMatchesItselfOnly)
{
    expect_rules({exact("/v2")}, {{"/v2", "0"}, {"/v2/", "-"}, {"/v2/x", "-"}, {"/V2", "-"}, {"/", "-"}});
    expect_rules({exact("/v2/")}, {{"/v2", "-"}, {"/v2/", "0"}});
}

TEST(RouterPath, ARegularExpressionMatchesTheWholePath)
{
    expect_rules({regex("/v[0-9]+")}, {{"/v1", "0"}, {"/v12", "0"}, {"/v1/x", "-"}, {"/x/v1", "-"}, {"/v", "-"}});
    expect_rules({regex("/a|/b/.*")}, {{"/a", "0"}, {"/ab", "-"}, {"/b/", "0"}, {"/b/c/d", "0"}});
}

TEST(RouterPath, TheFirstEntryInThePlansOrderWinsWhateverItsType)
{
    expect_rules({exact("/a/b"), prefix("/a/b"), prefix("/a"), prefix("/")},
                 {{"/a/b", "0"}, {"/a/b/", "1"}, {"/a/c", "2"}, {"/c", "3"}});
    expect_rules({prefix("/"), prefix("/a"), prefix("/a/b"), exact("/a/b"), regex(".*")},
                 {{"/a/b", "0"}, {"/a/c", "0"}});
    expect_rules({prefix("/a/b"), regex("/a/.*"), exact("/a/c"), prefix("/a")},
                 {{"/a/b/c", "0"}, {"/a/c", "1"}, {"/a/", "1"}, {"/a", "3"}});
    expect_rules({exact("/a"), regex("/a|/b"), regex("/.*"), prefix("/")},
                 {{"/a", "0"}, {"/b", "1"}, {"/c", "2"}, {"*", "3"}});
    expect_rules({regex("/a.*"), prefix("/a/b"), regex("/a/b/c")}, {{"/a/b/c", "0"}});
}

TEST(RouterPath, RoutesAreMatchedInCanonicalForm)
{
    expect_rules({exact("/%7euser/%c3%a4"), prefix("/%41pp")},
                 {{"/~user/%C3%A4", "0"}, {"/App/x", "1"}, {"/%41pp", "-"}});
}

TEST(RouterPath, AnEntryThatCannotMatchLeavesTheOthersAlone)
{
    const plan::HttpPort port = port_of({regex("("), exact("/a%2fb"), prefix("no-slash"), prefix("/a"), prefix("/a")});
    const auto router = Router::make(port);
    EXPECT_EQ(rule_for(*router, get("a", "/a")), "3");
    EXPECT_EQ(rule_for(*router, get("a", "(")), "-");
    EXPECT_EQ(rule_for(*router, get("a", "/a%2fb")), "-");
}

TEST(RouterPath, DeepPathsEndWhereTheTrieEnds)
{
    std::string deep;
    for (int i = 0; i < 512; ++i)
        deep += "/a";
    expect_rules({prefix(deep), prefix("/a/a")},
                 {{deep, "0"}, {deep + "/a", "0"}, {deep.substr(2), "1"}, {deep + deep, "0"}, {"/a", "-"}});
}

TEST(RouterPath, TenThousandRoutesAreEachFound)
{
    constexpr std::size_t kCount = 10'000;
    std::vector<model::HttpMatch> matches;
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::string path = "/team-" + std::to_string(i % 100) + "/service-" + std::to_string(i);
        matches.push_back(i % 2 == 0 ? exact(path) : prefix(path));
    }
    matches.push_back(prefix("/"));
    const plan::HttpPort port = port_of(matches);
    const auto router = Router::make(port);
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::string& path = matches[i].path.value;
        ASSERT_EQ(rule_for(*router, get("a", path)), std::to_string(i)) << path;
        const std::string below = i % 2 == 0 ? std::to_string(kCount) : std::to_string(i);
        ASSERT_EQ(rule_for(*router, get("a", path + "/x")), below) << path;
        ASSERT_EQ(rule_for(*router, get("a", path + "x")), std::to_string(kCount)) << path;
    }
}

TEST(RouterPath, TenThousandHostsAreEachFound)
{
    constexpr std::size_t kCount = 10'000;
    plan::HttpPort port;
    plan::HttpListener& listener = add_listener(port, "l", "");
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::string name = std::to_string(i) + ".example.com";
        add_host(listener, i % 2 == 0 ? name : "*." + name, "host" + std::to_string(i) + "-", {prefix("/")});
    }
    const auto router = Router::make(port);
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::string name = std::to_string(i) + ".example.com";
        const std::string found = "host" + std::to_string(i) + "-0";
        ASSERT_EQ(rule_for(*router, get(name)), i % 2 == 0 ? found : "-");
        ASSERT_EQ(rule_for(*router, get("x.y." + name)), i % 2 == 0 ? "-" : found);
    }
}

}  // namespace
}  // namespace sluice::proxy
