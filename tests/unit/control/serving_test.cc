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
    model::Statuses statuses{gateway()};
    correct_statuses(statuses, {{{"default/edge/a", "bind: address in use"}}, {}});
    EXPECT_FALSE(statuses[0]->listeners[0].conditions[0].status);
    EXPECT_TRUE(statuses[0]->listeners[1].conditions[0].status);
    EXPECT_TRUE(statuses[0]->conditions[0].status);
}

TEST(Serving, WhenTheKernelPathFailsAsAWholeHttpAndTlsListenersThatServedGoOnAndOthersHaveAProblem)
{
    plan::Plan previous;
    previous.http.emplace_back().listeners.emplace_back().name = "default/edge/served";
    previous.http.emplace_back().listeners.emplace_back().name = "default/edge/failed-before";
    previous.http.emplace_back().listeners.emplace_back().name = "default/edge/moved";
    previous.http.emplace_back().listeners.emplace_back().name = "default/edge/readdressed";
    plan::Plan plan = previous;
    plan.http[2].port = 8080;
    plan.http[3].addresses = {IpAddress::parse("192.0.2.1").value()};
    plan.http.emplace_back().listeners.emplace_back().name = "default/edge/new";
    plan.tls.emplace_back().hosts.emplace_back().listener = "default/edge/new-tls";
    const ServingProblems before{{{"default/edge/failed-before", "full"}}, {}};
    ServingProblems problems;
    add_new_proxied(plan, previous, before, "not permitted", problems);
    EXPECT_EQ(problems.listeners, (std::map<std::string, std::string>{{"default/edge/failed-before", "not permitted"},
                                                                      {"default/edge/moved", "not permitted"},
                                                                      {"default/edge/new", "not permitted"},
                                                                      {"default/edge/new-tls", "not permitted"},
                                                                      {"default/edge/readdressed", "not permitted"}}));
}

TEST(Serving, AGatewayWithoutAServingListenerIsNotProgrammed)
{
    model::Statuses statuses{gateway()};
    correct_statuses(statuses, {{{"default/edge/a", "x"}, {"default/edge/b", "y"}}, {}});
    EXPECT_FALSE(statuses[0]->conditions[0].status);
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

// A plan with the Gateway of generation 3 that the test is about, at an address that `owner` has.
plan::Plan plan_of(const std::string& owner, model::Announcement announcement = model::Announcement::L2)
{
    model::ObjectStatus status = gateway();
    status.uid = "new";
    status.addresses = {{"IPAddress", "192.0.2.1"}};
    status.conditions[0].observed_generation = 3;
    plan::Plan plan;
    plan.statuses = {status};
    if (!owner.empty())
        plan.pool_addresses = {{*IpAddress::parse("192.0.2.1"), "default/edge", owner, announcement, {}}};
    return plan;
}

const std::set<std::string> kAddress = {"192.0.2.1"};

model::ServedGateways word(std::int64_t generation, std::map<std::string, std::string> failed_listeners = {},
                           std::map<std::string, std::string> failed_addresses = {})
{
    return {{"default/edge", "new", generation, kAddress, std::move(failed_listeners), std::move(failed_addresses)}};
}

model::ServedGateways word_with(std::string uid, std::set<std::string> addresses)
{
    return {{"default/edge", std::move(uid), 3, std::move(addresses), {}, {}}};
}

TEST(Serving, ProgrammedWaitsForTheNodesThatHaveTheAddress)
{
    const struct {
        const char* claim;
        plan::Plan plan;
        model::ServedByNode served;
        bool programmed;
    } rows[] = {
        {"nobody has said anything", plan_of("a"), {}, false},
        {"the owner serves it", plan_of("a"), {{"a", word(3)}}, true},
        {"the owner serves an earlier generation", plan_of("a"), {{"a", word(2)}}, false},
        {"only another node serves it", plan_of("a"), {{"b", word(3)}}, false},
        {"the owner served another of the same name", plan_of("a"), {{"a", word_with("old", kAddress)}}, false},
        {"the owner serves, but not at that address", plan_of("a"), {{"a", word_with("new", {"192.0.2.7"})}}, false},
        {"the owner has that address and others", plan_of("a"), {{"a", word_with("new", {"192.0.2.1", "::1"})}}, true},
        {"a shared address, served by one", plan_of(""), {{"a", word(3)}}, false},
        {"a shared address, served by both", plan_of(""), {{"a", word(3)}, {"b", word(3)}}, true},
        {"an address that every node has", plan_of("x", model::Announcement::None), {{"a", word(3)}}, false},
        {"and that all of them serve", plan_of("x", model::Announcement::None), {{"a", word(3)}, {"b", word(4)}}, true},
    };
    for (const auto& row : rows) {
        const auto result = cluster_statuses(row.plan, {"a", "b"}, row.served);
        EXPECT_EQ(result.statuses[0]->conditions[0].status, row.programmed) << row.claim;
        EXPECT_EQ(result.statuses[0]->listeners[0].conditions[0].status, row.programmed) << row.claim;
        EXPECT_EQ(result.pending.contains("default/edge"), !row.programmed) << row.claim;
    }
}

TEST(Serving, WhatTheOwnerCannotServeIsSaidAndWhatAnotherNodeCannotIsNot)
{
    const plan::Plan plan = plan_of("a");
    auto result = cluster_statuses(plan, {"a", "b"}, {{"a", word(3, {{"a", "in use"}})}, {"b", word(3, {{"b", "x"}})}});
    EXPECT_TRUE(result.pending.empty());
    EXPECT_FALSE(result.statuses[0]->listeners[0].conditions[0].status);
    EXPECT_EQ(result.statuses[0]->listeners[0].conditions[0].message, "on node a: in use");
    EXPECT_TRUE(result.statuses[0]->listeners[1].conditions[0].status);
    result = cluster_statuses(plan, {"a", "b"}, {{"a", word(3, {}, {{"192.0.2.1", "no right"}})}});
    EXPECT_EQ(result.statuses[0]->conditions[0].reason, "AddressNotUsable");
    EXPECT_EQ(result.statuses[0]->addresses, plan.statuses[0]->addresses) << "on record: it is still the Gateway's";
}

TEST(Serving, WhatWasSaidOfAnObjectOfOthersIsToGo)
{
    plan::Plan plan = plan_of("a");
    plan.others = {{"HTTPRoute", "default", "theirs"}, {"BackendTLSPolicy", "default", "unused"}};
    const auto result = cluster_statuses(plan, {"a"}, {{"a", word(3)}});
    ASSERT_EQ(result.statuses.size(), 3U);
    EXPECT_EQ(result.statuses[0]->key, plan.others[1]) << "sorted";
    EXPECT_EQ(result.statuses[2]->key, plan.others[0]);
    EXPECT_TRUE(result.statuses[2]->parents.empty());
}

TEST(Serving, ANodesWordIsWhatItsPlanAndItsProblemsSay)
{
    plan::Plan plan = plan_of("a");
    EXPECT_EQ(served_gateways(plan, {}), word_with("new", {})) << "another node has the address";
    plan.addresses = {*IpAddress::parse("192.0.2.1")};
    EXPECT_EQ(served_gateways(plan, {}), word(3));
    EXPECT_EQ(served_gateways(plan, {{{"default/edge/b", "in use"}, {"other/edge/a", "x"}},
                                     {{*IpAddress::parse("192.0.2.1"), "no right"}}}),
              word(3, {{"b", "in use"}}, {{"192.0.2.1", "no right"}}));
    plan::Plan refused = plan;
    model::ObjectStatus status = *plan.statuses[0];
    status.conditions[0].status = false;
    refused.statuses = {status};
    EXPECT_TRUE(served_gateways(refused, {}).empty());
}

TEST(Serving, OnlyConditionsThatDifferAreChanges)
{
    model::ObjectStatus other = gateway();
    other.key.name = "other";
    model::ObjectStatus failed = gateway();
    failed.listeners[0].conditions[0].status = false;
    const model::Statuses one{gateway()};
    const model::Statuses both{gateway(), other};
    EXPECT_TRUE(condition_changes(one, one).empty());
    EXPECT_TRUE(condition_changes(one, {gateway()}).empty()) << "equal, though not the same object";
    EXPECT_TRUE(condition_changes(both, one).empty()) << "nothing is said of what is gone";
    EXPECT_EQ(condition_changes(one, {failed}).size(), 1U);
    EXPECT_EQ(condition_changes(one, both).size(), 3U) << "all of a new one";
    EXPECT_EQ(condition_changes(both, {failed, other}).size(), 1U);
    EXPECT_EQ(condition_changes({other}, {failed, other}).size(), 3U);
}

}  // namespace
}  // namespace sluice::control
