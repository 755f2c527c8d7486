// SPDX-License-Identifier: Apache-2.0
// Method, header and query conditions, and how entries that share a path fall through to one another.
#include <gtest/gtest.h>

#include "tests/unit/proxy/router_fixture.h"

namespace sluice::proxy {
namespace {

using namespace test;

model::HttpMatch with_header(std::string name, std::string value, ValueMatchType type = ValueMatchType::Exact)
{
    model::HttpMatch match = prefix("/");
    match.headers.push_back({type, std::move(name), std::move(value)});
    return match;
}

model::HttpMatch with_query(std::string name, std::string value, ValueMatchType type = ValueMatchType::Exact)
{
    model::HttpMatch match = prefix("/");
    match.query_params.push_back({type, std::move(name), std::move(value)});
    return match;
}

bool is_met(const model::HttpMatch& match, const RequestView& request)
{
    const plan::HttpPort port = port_of({match});
    return Router::make(port)->route(request).rule != nullptr;
}

bool headers_meet(const model::HttpMatch& match, const std::vector<http1::Header>& headers)
{
    RequestView request = get("a");
    request.headers = headers;
    return is_met(match, request);
}

bool query_meets(const model::HttpMatch& match, std::string_view query)
{
    RequestView request = get("a");
    request.query = query;
    return is_met(match, request);
}

TEST(RouterMatch, TheMethodIsExact)
{
    model::HttpMatch match = prefix("/");
    match.method = "GET";
    const plan::HttpPort port = port_of({match});
    const auto router = Router::make(port);
    for (const auto& [method, rule] : {std::pair{"GET", "0"}, {"get", "-"}, {"HEAD", "-"}, {"GETX", "-"}, {"", "-"}}) {
        RequestView request = get("a");
        request.method = method;
        EXPECT_EQ(rule_for(*router, request), rule) << method;
    }
}

TEST(RouterMatch, HeaderNamesIgnoreCaseAndValuesAreExact)
{
    const model::HttpMatch match = with_header("X-Color", "blue");
    EXPECT_TRUE(headers_meet(match, {{"X-Color", "blue"}}));
    EXPECT_TRUE(headers_meet(match, {{"x-cOLOR", "blue"}}));
    EXPECT_TRUE(headers_meet(match, {{"Other", "red"}, {"x-color", "blue"}}));
    EXPECT_FALSE(headers_meet(match, {{"X-Color", "Blue"}}));
    EXPECT_FALSE(headers_meet(match, {{"X-Color", "blue2"}}));
    EXPECT_FALSE(headers_meet(match, {{"X-Color", "blu"}}));
    EXPECT_FALSE(headers_meet(match, {{"X-Color", ""}}));
    EXPECT_FALSE(headers_meet(match, {{"X-Colors", "blue"}}));
    EXPECT_FALSE(headers_meet(match, {}));
}

TEST(RouterMatch, LinesOfOneNameCountAsOneValueJoinedByCommas)
{
    const std::vector<http1::Header> lines{{"X", "a"}, {"Y", "z"}, {"x", "b"}, {"X", ""}};
    EXPECT_TRUE(headers_meet(with_header("x", "a,b,"), lines));
    EXPECT_FALSE(headers_meet(with_header("x", "a"), lines));
    EXPECT_FALSE(headers_meet(with_header("x", "b"), lines));
    EXPECT_FALSE(headers_meet(with_header("x", "a,b"), lines));
    EXPECT_FALSE(headers_meet(with_header("x", "a,b,,"), lines));
    EXPECT_FALSE(headers_meet(with_header("x", "ab,"), lines));
    EXPECT_TRUE(headers_meet(with_header("x", "a,b,?", ValueMatchType::RegularExpression), lines));
    EXPECT_FALSE(headers_meet(with_header("x", "a", ValueMatchType::RegularExpression), lines));
}

TEST(RouterMatch, AHeaderExpressionMatchesTheWholeValue)
{
    const model::HttpMatch match = with_header("x", "v[0-9]+|\xe4", ValueMatchType::RegularExpression);
    EXPECT_TRUE(headers_meet(match, {{"X", "v12"}}));
    EXPECT_TRUE(headers_meet(match, {{"X", "\xe4"}}));
    EXPECT_FALSE(headers_meet(match, {{"X", "v1x"}}));
    EXPECT_FALSE(headers_meet(match, {{"X", "xv1"}}));
    EXPECT_FALSE(headers_meet(match, {{"Y", "v1"}}));
    EXPECT_FALSE(headers_meet(with_header("x", "(", ValueMatchType::RegularExpression), {{"X", "("}}));
}

TEST(RouterMatch, JoinedValuesForExpressionsAreBoundedExactly)
{
    const model::HttpMatch match = with_header("x", "[a,]*", ValueMatchType::RegularExpression);
    const std::string half(kMatchValueBytesMax / 2, 'a');
    EXPECT_TRUE(headers_meet(match, {{"X", std::string_view(half).substr(1)}, {"X", half}}));
    EXPECT_FALSE(headers_meet(match, {{"X", half}, {"X", half}}));
    const std::string single(2 * kMatchValueBytesMax, 'a');
    EXPECT_TRUE(headers_meet(match, {{"X", single}}));
}

TEST(RouterMatch, QueryParametersAreComparedDecodedAndTheFirstOfANameCounts)
{
    const model::HttpMatch match = with_query("animal", "big whale");
    for (const char* query : {"animal=big%20whale", "x=y&animal=big%20whale", "&&animal=big%20whale&",
                              "%61nimal=%62ig%20whal%65", "animal=big%20whale&animal=dog", "animal=big whale"})
        EXPECT_TRUE(query_meets(match, query)) << query;
    for (const char* query :
         {"", "animal", "animal=", "animal=big+whale", "Animal=big%20whale", "animal=Big%20whale",
          "animal=dog&animal=big%20whale", "animals=big%20whale", "anima=big%20whale", "animal=big%20whales",
          "animal=big%20whal", "x=animal=big%20whale", "x;animal=big%20whale", "animal=big%2520whale"})
        EXPECT_FALSE(query_meets(match, query)) << query;
    EXPECT_TRUE(query_meets(with_query("a", "b=c"), "a=b=c"));
    EXPECT_TRUE(query_meets(with_query("a", "b+c"), "a=b+c"));
    EXPECT_TRUE(query_meets(with_query("a", "%zz%4"), "a=%zz%4"));
    EXPECT_TRUE(query_meets(with_query("a", "b&c"), "a=b%26c"));
    EXPECT_TRUE(query_meets(with_query("a=b", "c"), "a%3db=c"));
}

TEST(RouterMatch, AQueryExpressionMatchesTheWholeDecodedValue)
{
    const model::HttpMatch match = with_query("id", "[0-9 ]+", ValueMatchType::RegularExpression);
    for (const char* query : {"id=1", "id=%31%20", "id=12&id=x"})
        EXPECT_TRUE(query_meets(match, query)) << query;
    for (const char* query : {"id=", "id", "id=x1", "id=1%78", "id=1%0a"})
        EXPECT_FALSE(query_meets(match, query)) << query;
    EXPECT_TRUE(query_meets(with_query("id", "", ValueMatchType::RegularExpression), "id"));
    const std::string limit(kMatchValueBytesMax - 1, '1');
    EXPECT_TRUE(query_meets(match, "id=%31" + limit));
    EXPECT_FALSE(query_meets(match, "id=%31" + limit + "1"));
}

TEST(RouterMatch, AllConditionsOfAnEntryMustHold)
{
    model::HttpMatch match = prefix("/p");
    match.method = "POST";
    match.headers = {{ValueMatchType::Exact, "a", "1"}, {ValueMatchType::RegularExpression, "b", "2+"}};
    match.query_params = {{ValueMatchType::Exact, "c", "3"}, {ValueMatchType::Exact, "d", "4"}};
    const http1::Header headers[] = {{"A", "1"}, {"B", "22"}};
    const http1::Header half[] = {{"A", "1"}};
    const RequestView good{"POST", "a", "/p", "c=3&d=4", headers};
    EXPECT_TRUE(is_met(match, good));
    EXPECT_FALSE(is_met(match, {"GET", "a", "/p", "c=3&d=4", headers}));
    EXPECT_FALSE(is_met(match, {"POST", "a", "/q", "c=3&d=4", headers}));
    EXPECT_FALSE(is_met(match, {"POST", "a", "/p", "c=3", headers}));
    EXPECT_FALSE(is_met(match, {"POST", "a", "/p", "c=3&d=4", half}));
}

TEST(RouterMatch, AnEntryWhoseConditionsFailGivesWayToTheNextInOrder)
{
    model::HttpMatch exact_post = exact("/a/b");
    exact_post.method = "POST";
    model::HttpMatch long_with_header = prefix("/a/b");
    long_with_header.headers = {{ValueMatchType::Exact, "x", "1"}};
    model::HttpMatch long_with_query = prefix("/a/b");
    long_with_query.query_params = {{ValueMatchType::Exact, "q", "1"}};
    const plan::HttpPort port =
        port_of({exact_post, regex("/a/b\\?"), long_with_header, long_with_query, prefix("/a"), prefix("/")});
    const auto router = Router::make(port);
    const http1::Header header[] = {{"X", "1"}};
    EXPECT_EQ(rule_for(*router, {"POST", "h", "/a/b", "q=1", header}), "0");
    EXPECT_EQ(rule_for(*router, {"GET", "h", "/a/b", "q=1", header}), "2");
    EXPECT_EQ(rule_for(*router, {"GET", "h", "/a/b", "q=1", {}}), "3");
    EXPECT_EQ(rule_for(*router, {"GET", "h", "/a/b", "", {}}), "4");
    EXPECT_EQ(rule_for(*router, {"GET", "h", "/b", "", {}}), "5");
}

TEST(RouterMatch, AnyNumberOfEntriesMayShareAPath)
{
    std::vector<model::HttpMatch> matches;
    for (int i = 0; i < 1000; ++i)
        matches.push_back(with_header("x", std::to_string(i)));
    const plan::HttpPort port = port_of(matches);
    const auto router = Router::make(port);
    for (const int i : {0, 1, 500, 999}) {
        const std::string value = std::to_string(i);
        const http1::Header header[] = {{"X", value}};
        EXPECT_EQ(rule_for(*router, {"GET", "h", "/p", "", header}), value);
    }
}

}  // namespace
}  // namespace sluice::proxy
