// SPDX-License-Identifier: Apache-2.0
// Which listener and which host of it serve a request's authority.
#include <gtest/gtest.h>

#include "tests/unit/proxy/router_fixture.h"

namespace sluice::proxy {
namespace {

using namespace test;

struct Row {
    std::string authority;
    std::string path;
    std::string outcome;
};

void expect_outcomes(const plan::HttpPort& port, const std::vector<Row>& rows)
{
    const auto router = Router::make(port);
    for (const Row& row : rows)
        EXPECT_EQ(outcome(*router, get(row.authority, row.path)), row.outcome) << row.authority << row.path;
}

TEST(RouterHost, TheMostSpecificListenerServesAlone)
{
    plan::HttpPort port;
    const std::vector<model::HttpMatch> all{prefix("/")};
    add_host(add_listener(port, "all", ""), "", "all", all);
    add_host(add_listener(port, "com", "*.com"), "*.com", "com", all);
    add_host(add_listener(port, "wild", "*.example.com"), "*.example.com", "wild", all);
    add_host(add_listener(port, "exact", "a.example.com"), "a.example.com", "exact", {prefix("/only")});
    expect_outcomes(port, {
                              {"a.example.com", "/only", "exact exact0"},
                              {"a.example.com", "/", "exact -"},
                              {"A.Example.COM:8080", "/only", "exact exact0"},
                              {"a.example.com.", "/only", "exact exact0"},
                              {"a.example.com.:80", "/only", "exact exact0"},
                              {"b.example.com", "/", "wild wild0"},
                              {"x.a.example.com", "/", "wild wild0"},
                              {"example.com", "/", "com com0"},
                              {".example.com", "/", "com com0"},
                              {"xexample.com", "/", "com com0"},
                              {"com", "/", "all all0"},
                              {".com", "/", "all all0"},
                              {"example.org", "/", "all all0"},
                              {"192.0.2.1:80", "/", "all all0"},
                              {"[2001:db8::1]:80", "/", "all all0"},
                              {"[2001:db8::1]", "/", "all all0"},
                              {"[", "/", "all all0"},
                              {":", "/", "all all0"},
                              {"", "/", "all all0"},
                              {".", "/", "all all0"},
                          });
}

TEST(RouterHost, WithoutAListenerForTheHostNothingServes)
{
    plan::HttpPort port;
    add_host(add_listener(port, "exact", "a.example.com"), "a.example.com", "exact", {prefix("/")});
    expect_outcomes(port, {{"b.example.com", "/", "- -"}, {"", "/", "- -"}, {"a.example.com", "/", "exact exact0"}});
    expect_outcomes({}, {{"a", "/", "- -"}});
}

TEST(RouterHost, WhatAHostDoesNotMatchGoesOnToTheLessSpecificOne)
{
    plan::HttpPort port;
    plan::HttpListener& listener = add_listener(port, "l", "");
    add_host(listener, "a.b.example.com", "exact", {prefix("/exact"), prefix("/both")});
    add_host(listener, "*.b.example.com", "long", {prefix("/long"), prefix("/both")});
    add_host(listener, "*.example.com", "short", {prefix("/short"), prefix("/both")});
    add_host(listener, "", "any", {prefix("/any"), prefix("/both")});
    expect_outcomes(port, {
                              {"a.b.example.com", "/both", "l exact1"},
                              {"a.b.example.com", "/exact", "l exact0"},
                              {"a.b.example.com", "/long", "l long0"},
                              {"a.b.example.com", "/short", "l short0"},
                              {"a.b.example.com", "/any", "l any0"},
                              {"a.b.example.com", "/none", "l -"},
                              {"c.b.example.com", "/both", "l long1"},
                              {"c.b.example.com", "/exact", "l -"},
                              {"b.example.com", "/both", "l short1"},
                              {"b.example.com", "/long", "l -"},
                              {"example.com", "/both", "l any1"},
                          });
}

TEST(RouterHost, NamesAreBoundedByDnsExactly)
{
    const std::string longest = std::string(249, 'a') + ".org";  // 253 bytes
    plan::HttpPort port;
    add_host(add_listener(port, "all", ""), "", "all", {prefix("/")});
    add_host(add_listener(port, "long", longest), longest, "long", {prefix("/")});
    add_host(add_listener(port, "org", "*.org"), "*.org", "org", {prefix("/")});
    expect_outcomes(port, {
                              {longest, "/", "long long0"},
                              {longest + ".", "/", "long long0"},
                              {longest + ".:65535", "/", "long long0"},
                              {longest.substr(1), "/", "org org0"},
                              {"a" + longest, "/", "all all0"},
                              {std::string(5000, '.') + "org", "/", "all all0"},
                          });
}

TEST(RouterHost, OfEqualHostnamesTheFirstCounts)
{
    plan::HttpPort port;
    for (const char* hostname : {"a", "*.a", ""})
        for (const char* name : {"first", "second"})
            add_host(add_listener(port, std::string(name) + hostname, hostname), hostname, "", {prefix("/")});
    expect_outcomes(port, {{"a", "/", "firsta 0"}, {"x.a", "/", "first*.a 0"}, {"b", "/", "first 0"}});
}

}  // namespace
}  // namespace sluice::proxy
