// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/referred.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::source {
namespace {

using Keys = std::set<model::ObjectKey>;

Keys secrets(const std::string& ns, int count)
{
    Keys keys;
    for (int i = 0; i < count; ++i)
        keys.insert({"Secret", ns, "s" + std::to_string(100 + i)});
    return keys;
}

std::size_t count_of(const Keys& chosen, const std::string& ns)
{
    return static_cast<std::size_t>(
        std::ranges::count_if(chosen, [&](const model::ObjectKey& key) { return key.ns == ns; }));
}

bool holds_none(const model::ObjectKey&) { return false; }

TEST(ChooseReferred, EverythingWithinTheLimitIsChosen)
{
    EXPECT_EQ(choose_referred({{"a", secrets("a", 4)}, {"b", secrets("b", 6)}}, holds_none, 10).size(), 10U);
    EXPECT_TRUE(choose_referred({}, holds_none, 10).empty());
}

TEST(ChooseReferred, ANamespaceThatRefersToManyLeavesTheOthersTheirs)
{
    const Keys chosen =
        choose_referred({{"a", secrets("a", 90)}, {"b", secrets("b", 3)}, {"z", secrets("z", 4)}}, holds_none, 10);
    EXPECT_EQ(chosen.size(), 10U);
    EXPECT_EQ(count_of(chosen, "b"), 3U);
    EXPECT_GE(count_of(chosen, "z"), 3U);
}

TEST(ChooseReferred, NamesInManyNamespacesCountForWhoRefersToThem)
{
    Keys far;
    for (int i = 0; i < 90; ++i)
        far.insert({"Secret", "none-" + std::to_string(i), "s"});
    EXPECT_EQ(count_of(choose_referred({{"a", far}, {"z", secrets("z", 4)}}, holds_none, 10), "z"), 4U);
}

TEST(ChooseReferred, WhatIsHeldStaysBeforeNewcomersOfItsNamespace)
{
    const auto holds_last = [](const model::ObjectKey& key) { return key.name == "s189"; };
    EXPECT_TRUE(choose_referred({{"a", secrets("a", 90)}}, holds_last, 10).contains({"Secret", "a", "s189"}));
}

}  // namespace
}  // namespace sluice::source
