// SPDX-License-Identifier: Apache-2.0
#include "agent/control/serving.h"

#include <gtest/gtest.h>

namespace sluice::control {
namespace {

model::ObjectStatus gateway()
{
    const model::Condition programmed{"Programmed", true, "Programmed", "", 1};
    model::ObjectStatus status;
    status.key = {"Gateway", "default", "edge"};
    status.conditions = {programmed};
    status.listeners = {{"a", {}, 0, {programmed}}, {"b", {}, 0, {programmed}}};
    return status;
}

TEST(Serving, AListenerThatDoesNotServeIsNotProgrammed)
{
    std::vector statuses{gateway()};
    correct_statuses(statuses, {{{"default/edge/a", "bind: address in use"}}, {}});
    EXPECT_FALSE(statuses[0].listeners[0].conditions[0].status);
    EXPECT_TRUE(statuses[0].listeners[1].conditions[0].status);
    EXPECT_TRUE(statuses[0].conditions[0].status);
}

TEST(Serving, AGatewayWithoutAServingListenerIsNotProgrammed)
{
    std::vector statuses{gateway()};
    correct_statuses(statuses, {{{"default/edge/a", "x"}, {"default/edge/b", "y"}}, {}});
    EXPECT_FALSE(statuses[0].conditions[0].status);
}

TEST(Serving, WhatTheKernelCannotServeIsAProblemAndWhatTheProxyRelaysIsNot)
{
    ServingProblems problems;
    add_kernel_problems(
        {{"default/edge/a", {}, false, "", "too many listeners"}, {"default/edge/b", {}, false, "relayed", ""}},
        problems);
    ASSERT_EQ(problems.listeners.size(), 1U);
    EXPECT_EQ(problems.listeners.begin()->first, "default/edge/a");
}

TEST(Serving, OnlyConditionsThatDifferAreChanges)
{
    std::vector before{gateway()};
    auto after = before;
    EXPECT_TRUE(condition_changes(before, after).empty());
    after[0].listeners[0].conditions[0].status = false;
    EXPECT_EQ(condition_changes(before, after).size(), 1U);
}

}  // namespace
}  // namespace sluice::control
