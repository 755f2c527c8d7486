// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/membership.h"

#include <gtest/gtest.h>

namespace sluice::source {
namespace {

TEST(Membership, WhatANodeSaysIsReadAsItWasSaid)
{
    const model::ServedGateways words[] = {
        {},
        {{"default/web", 3, {}, {}}},
        {{"a/b", 1, {{"http", "in use \"quoted\""}}, {}}, {"a/c", 2, {}, {{"192.0.2.1", "no right"}}}},
    };
    for (const model::ServedGateways& word : words)
        EXPECT_EQ(parse_served(served_text(word)), word);
}

TEST(Membership, WhatIsNoWordSaysNothing)
{
    for (const char* text : {"", "null", "[]", "{", "3", R"({"a/b": 3})", R"({"a/b": {"generation": "3"}})",
                             R"({"a/b": {"generation": 1.5}})"})
        EXPECT_TRUE(parse_served(text).empty()) << text;
    const auto odd = parse_served(R"({"a/b": {"generation": 3, "listeners": [1], "addresses": {"x": 7}, "more": {}}})");
    ASSERT_EQ(odd.size(), 1U);
    EXPECT_TRUE(odd[0].failed_listeners.empty());
    EXPECT_EQ(odd[0].failed_addresses.at("x"), "");
}

TEST(Membership, AWordIsBounded)
{
    const model::ServedGateways wordy{{"a/b", 1, {{"http", std::string(10'000, 'x')}}, {}}};
    EXPECT_LT(served_text(wordy).size(), 400U);
    EXPECT_EQ(served_text({{"a/b", 1, {{"http", "\xff"}}, {}}}).find('\xff'), std::string::npos);
    model::ServedGateways many;
    for (int i = 0; i < 10'000; ++i)
        many.push_back({"namespace/gateway-" + std::to_string(i), 1, {}, {}});
    EXPECT_EQ(served_text(many), "");
}

}  // namespace
}  // namespace sluice::source
