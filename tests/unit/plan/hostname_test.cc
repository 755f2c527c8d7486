// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/hostname.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::plan {
namespace {

TEST(Hostname, IntersectionIsWhatBothNamesCover)
{
    struct Row {
        const char* a;
        const char* b;
        const char* both;  // null: nothing
    };
    const Row rows[] = {
        {"", "", ""},
        {"", "a.example", "a.example"},
        {"", "*.example", "*.example"},
        {"a.example", "a.example", "a.example"},
        {"a.example", "b.example", nullptr},
        {"*.example.com", "a.example.com", "a.example.com"},
        {"*.example.com", "a.b.example.com", "a.b.example.com"},
        {"*.example.com", "example.com", nullptr},
        {"*.example.com", ".example.com", nullptr},
        {"*.example.com", "aexample.com", nullptr},
        {"*.example.com", "*.example.com", "*.example.com"},
        {"*.example.com", "*.b.example.com", "*.b.example.com"},
        {"*.com", "*.example.com", "*.example.com"},
        {"*.b.example.com", "*.c.example.com", nullptr},
        {"*.example.com", "*.ample.com", nullptr},
        {"*.example.com", "*.example.org", nullptr},
    };
    for (const Row& row : rows) {
        const auto expected = row.both == nullptr ? std::nullopt : std::optional<std::string>(row.both);
        EXPECT_EQ(intersect(row.a, row.b), expected) << row.a << " and " << row.b;
        EXPECT_EQ(intersect(row.b, row.a), expected) << row.b << " and " << row.a;
    }
}

TEST(Hostname, ExactBeforeLongWildcardBeforeShortWildcardBeforeEveryHost)
{
    const char* order[] = {"long.example.com", "a.b", "*.a.example.com", "*.example.com", "*.com", ""};
    for (std::size_t i = 0; i < std::size(order); ++i)
        for (std::size_t j = 0; j < std::size(order); ++j)
            EXPECT_EQ(is_more_specific(order[i], order[j]), i < j) << order[i] << " before " << order[j];
}

TEST(Hostname, NamesOfEqualLengthAreOrderedByText)
{
    EXPECT_TRUE(is_more_specific("a.example", "b.example"));
    EXPECT_FALSE(is_more_specific("b.example", "a.example"));
}

TEST(Hostname, CaseIsFolded) { EXPECT_EQ(to_lower("Web-1.EXAMPLE.com"), "web-1.example.com"); }

HostnameSet set_of(const std::vector<std::string>& names)
{
    HostnameSet set;
    for (const std::string& name : names)
        set.insert(name);
    return set;
}

TEST(Hostname, RouteWithoutHostnamesServesTheListenersName)
{
    const auto hosts = served_hosts("*.example.com", {});
    ASSERT_EQ(hosts.size(), 1U);
    EXPECT_EQ(hosts[0].hostname, "*.example.com");
    EXPECT_EQ(hosts[0].route_hostname, "");
}

TEST(Hostname, WildcardRouteOnASpecificListenerServesTheListenersNameOnly)
{
    const auto hosts = served_hosts("a.example.com", set_of({"*.example.com"}));
    ASSERT_EQ(hosts.size(), 1U);
    EXPECT_EQ(hosts[0].hostname, "a.example.com");
    EXPECT_EQ(hosts[0].route_hostname, "*.example.com");
}

TEST(Hostname, TheMostSpecificNameOfARouteStandsForAHostThatSeveralLeadTo)
{
    const auto hosts = served_hosts("a.example.com", set_of({"*.com", "a.example.com", "*.example.com", "other.org"}));
    ASSERT_EQ(hosts.size(), 1U);
    EXPECT_EQ(hosts[0].route_hostname, "a.example.com");
}

TEST(Hostname, NamesWithoutIntersectionAreLeftOut)
{
    EXPECT_TRUE(served_hosts("a.example.com", set_of({"b.example.com", "*.org"})).empty());
    const auto hosts = served_hosts("*.example.com", set_of({"b.example.com", "x.org"}));
    ASSERT_EQ(hosts.size(), 1U);
    EXPECT_EQ(hosts[0].hostname, "b.example.com");
}

constexpr const char* kNames[] = {"",          "a.org",   "b.a.org", "c.b.a.org", "*.a.org",  "*.b.a.org",
                                  "*.c.a.org", "*.org",   "org",     "xa.org",    "*.xa.org", "b.org",
                                  "*.b.org",   "a.b.org", "*.com",   "a.com"};

TEST(HostnameSet, FindsAnOverlapWhereOneNameMeetsAnother)
{
    for (const char* first : kNames) {
        for (const char* second : kNames) {
            HostnameSet set;
            EXPECT_FALSE(set.overlaps(first));
            set.insert(first);
            set.insert("zz.example");
            for (const char* asked : kNames) {
                const bool expected = intersect(first, asked) || intersect(second, asked);
                HostnameSet both = set;
                both.insert(second);
                EXPECT_EQ(both.overlaps(asked), expected || intersect("zz.example", asked).has_value())
                    << first << " and " << second << " against " << asked;
            }
        }
    }
}

TEST(HostnameSet, NamesEachOneThatMeetsAnotherOnce)
{
    const HostnameSet all = set_of({std::begin(kNames), std::end(kNames)});
    for (const char* asked : kNames) {
        std::vector<std::string> expected;
        for (const char* name : kNames)
            if (intersect(name, asked))
                expected.emplace_back(name);
        std::vector<std::string> found = all.overlapping(asked);
        std::ranges::sort(expected);
        std::ranges::sort(found);
        EXPECT_EQ(found, expected) << asked;
    }
}

}  // namespace
}  // namespace sluice::plan
