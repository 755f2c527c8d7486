// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/status_merge.h"

#include <gtest/gtest.h>

#include "agent/source/kube/features.h"

namespace sluice::source {
namespace {

using nlohmann::json;

constexpr const char* kUs = "sluice.dev/node-gateway";
constexpr const char* kBefore = "2026-01-01T00:00:00Z";
constexpr const char* kNow = "2026-02-02T00:00:00Z";

json condition(const char* type, const char* status, std::int64_t generation = 1)
{
    return {{"type", type},
            {"status", status},
            {"reason", "R"},
            {"message", ""},
            {"observedGeneration", generation},
            {"lastTransitionTime", kBefore}};
}

model::ObjectStatus route(std::vector<std::string> gateways, bool accepted = true, std::int64_t generation = 1)
{
    model::ObjectStatus status{.key = {"HTTPRoute", "default", "web"}};
    for (const std::string& gateway : gateways)
        status.parents.push_back({{.ns = "infra", .name = gateway}, {{"Accepted", accepted, "R", "", generation}}});
    return status;
}

json entry(const std::string& gateway, const char* controller = kUs, const char* accepted = "True")
{
    return {{"controllerName", controller},
            {"parentRef",
             {{"group", model::kGatewayGroup}, {"kind", "Gateway"}, {"namespace", "infra"}, {"name", gateway}}},
            {"conditions", json::array({condition("Accepted", accepted)})}};
}

json parents(std::vector<json> entries) { return {{"parents", json(std::move(entries))}}; }

std::optional<json> merged(const json& current, const model::ObjectStatus& wanted)
{
    return merged_status(current, wanted, kUs, kNow);
}

TEST(StatusMerge, WhatIsAsItShouldBeIsNotWritten)
{
    EXPECT_FALSE(merged(parents({entry("a")}), route({"a"})));
    EXPECT_FALSE(merged(json::object(), route({}))) << "another controller's route";
    EXPECT_FALSE(merged(parents({entry("x", "other")}), route({})));
}

TEST(StatusMerge, ForeignEntriesStayAndOursComeAndGo)
{
    const auto result = merged(parents({entry("x", "other"), entry("gone"), entry("a")}), route({"a", "new"}));
    ASSERT_TRUE(result);
    const json& list = result->at("parents");
    ASSERT_EQ(list.size(), 3U);
    EXPECT_EQ(list[0], entry("x", "other"));
    EXPECT_EQ(list[1], entry("a"));
    EXPECT_EQ(list[2].at("parentRef").at("name"), "new");
    EXPECT_EQ(list[2].at("conditions")[0].at("lastTransitionTime"), kNow);
}

TEST(StatusMerge, OfAnObjectThatIsNoLongerOursNothingOfOursStays)
{
    EXPECT_EQ(merged(parents({entry("x", "other"), entry("gone")}), route({})), parents({entry("x", "other")}));
    EXPECT_EQ(merged(parents({entry("gone")}), route({})), parents({}));
    const model::ObjectStatus policy{.key = {"BackendTLSPolicy", "default", "p"}};
    const json ours = {{"controllerName", kUs}, {"ancestorRef", {{"name", "g"}}}, {"conditions", json::array()}};
    const json ancestors = {{"ancestors", json::array({ours})}};
    EXPECT_EQ(merged(ancestors, policy), (json{{"ancestors", json::array()}}));
    EXPECT_FALSE(merged(json::object(), policy)) << "another controller's policy";
}

TEST(StatusMerge, ATransitionHasATimeAndAGenerationAloneHasNone)
{
    auto result = merged(parents({entry("a")}), route({"a"}, true, 2));
    ASSERT_TRUE(result);
    EXPECT_EQ(result->at("parents")[0].at("conditions")[0].at("lastTransitionTime"), kBefore);
    EXPECT_EQ(result->at("parents")[0].at("conditions")[0].at("observedGeneration"), 2);
    result = merged(parents({entry("a")}), route({"a"}, false));
    ASSERT_TRUE(result);
    EXPECT_EQ(result->at("parents")[0].at("conditions")[0].at("lastTransitionTime"), kNow);
}

TEST(StatusMerge, UnknownConditionsStayWhereTheyAre)
{
    json current = parents({entry("a")});
    current["parents"][0]["conditions"].insert(current["parents"][0]["conditions"].begin(), condition("Their", "True"));
    const auto result = merged(current, route({"a"}, false));
    ASSERT_TRUE(result);
    const json& conditions = result->at("parents")[0].at("conditions");
    ASSERT_EQ(conditions.size(), 2U);
    EXPECT_EQ(conditions[0], condition("Their", "True"));
}

TEST(StatusMerge, AConditionThatIsThereOnlyWhereSomethingIsAmissGoesWithIt)
{
    json before = entry("a");
    before.at("conditions").push_back(condition("PartiallyInvalid", "True"));
    const auto after = merged(parents({before}), route({"a"}));
    ASSERT_TRUE(after);
    EXPECT_EQ(*after, parents({entry("a")}));
    model::ObjectStatus wanted = route({"a"});
    wanted.parents[0].conditions.push_back({"PartiallyInvalid", true, "R", "", 1});
    EXPECT_FALSE(merged(parents({before}), wanted));
}

TEST(StatusMerge, TheAPIsBoundsHold)
{
    std::vector<std::string> names;
    for (int i = 0; i < 40; ++i)
        names.push_back("gw-" + std::to_string(i));
    EXPECT_EQ(merged(json::object(), route(names))->at("parents").size(), 32U);
    auto wordy = route({"a"});
    wordy.parents[0].conditions[0].message = std::string(32'767, 'x') + "\xc3\xa9";  // é, over the bound by one byte
    const std::string text = merged(json::object(), wordy)->at("parents")[0].at("conditions")[0].at("message");
    EXPECT_EQ(text, std::string(32'767, 'x'));
}

TEST(StatusMerge, AGatewaysListenersAreThoseThatItHas)
{
    model::ObjectStatus gateway{.key = {"Gateway", "default", "gw"}};
    gateway.conditions = {{"Programmed", true, "Programmed", "", 1}};
    gateway.listeners = {{"web", {{model::kGatewayGroup, "HTTPRoute"}}, 2, {{"Accepted", true, "R", "", 1}}}};
    gateway.addresses = {{"IPAddress", "192.0.2.1"}};
    const json current{
        {"addresses", json::array({{{"type", "IPAddress"}, {"value", "192.0.2.9"}}})},
        {"listeners",
         json::array({{{"name", "gone"}, {"conditions", json::array()}},
                      {{"name", "web"},
                       {"attachedRoutes", 1},
                       {"conditions", json::array({condition("Accepted", "True"), condition("Their", "True")})}}})}};
    const auto result = merged(current, gateway);
    ASSERT_TRUE(result);
    ASSERT_EQ(result->at("listeners").size(), 1U);
    EXPECT_EQ(result->at("listeners")[0].at("attachedRoutes"), 2);
    EXPECT_EQ(result->at("listeners")[0].at("conditions").size(), 2U);
    EXPECT_EQ(result->at("addresses")[0].at("value"), "192.0.2.1");
    EXPECT_FALSE(merged(*result, gateway));
    gateway.addresses.clear();
    EXPECT_FALSE(merged(*result, gateway)->contains("addresses"));
}

TEST(StatusMerge, AClassSaysWhatIsSupported)
{
    model::ObjectStatus status{.key = {"GatewayClass", "", "sluice"}};
    status.conditions = {{"Accepted", true, "Accepted", "", 1}};
    const auto result = merged(json::object(), status);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->at("supportedFeatures").size(), kSupportedFeatures.size());
    EXPECT_TRUE(std::ranges::is_sorted(kSupportedFeatures));
    EXPECT_FALSE(merged(*result, status));
}

}  // namespace
}  // namespace sluice::source
