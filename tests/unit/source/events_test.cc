// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/events.h"

#include <gtest/gtest.h>

namespace sluice::source {
namespace {

using nlohmann::json;

constexpr const char* kUs = "sluice.dev/node-gateway";
const Record kRecord{"gateway.networking.k8s.io/v1", "gateways", "7", "uid-1", ""};

json condition(const char* type, const char* status) { return {{"type", type}, {"status", status}, {"reason", "R"}}; }
json of_object(const json& one) { return {{"conditions", json::array({one})}}; }
json of_listener(const json& one)
{
    return {{"listeners", json::array({{{"name", "web"}, {"conditions", json::array({one})}}})}};
}
json of_parent(const json& one, const char* controller = kUs)
{
    return {{"parents", json::array({{{"controllerName", controller},
                                      {"parentRef", {{"namespace", "infra"}, {"name", "gw"}}},
                                      {"conditions", json::array({one})}}})}};
}

TEST(Events, AreToldOfConditionsThatTurnAndOfBadNews)
{
    const struct {
        const char* claim;
        const char* kind;
        json before;
        json after;
        std::vector<std::string> wanted;  // "type: message"
    } rows[] = {
        {"a route that is well from the start", "HTTPRoute", {}, of_parent(condition("Accepted", "True")), {}},
        {"a route that is not",
         "HTTPRoute",
         {},
         of_parent(condition("Accepted", "False")),
         {"Warning: Gateway infra/gw: Accepted is False"}},
        {"a Gateway that is programmed",
         "Gateway",
         {},
         of_object(condition("Programmed", "True")),
         {"Normal: Programmed is True"}},
        {"nothing has turned",
         "Gateway",
         of_object(condition("Programmed", "True")),
         of_object(condition("Programmed", "True")),
         {}},
        {"from bad to good",
         "Gateway",
         of_object(condition("Accepted", "False")),
         of_object(condition("Accepted", "True")),
         {"Normal: Accepted is True"}},
        {"a listener",
         "Gateway",
         of_listener(condition("Programmed", "True")),
         of_listener(condition("Programmed", "False")),
         {"Warning: listener web: Programmed is False"}},
        {"a conflict is bad news",
         "Gateway",
         of_listener(condition("Conflicted", "False")),
         of_listener(condition("Conflicted", "True")),
         {"Warning: listener web: Conflicted is True"}},
        {"that there is none is not", "Gateway", {}, of_listener(condition("Conflicted", "False")), {}},
        {"what the API server put there first",
         "Gateway",
         of_object(condition("Accepted", "Unknown")),
         of_object(condition("Accepted", "True")),
         {}},
        {"another controller's word", "HTTPRoute", {}, of_parent(condition("Accepted", "False"), "other"), {}},
    };
    for (const auto& row : rows) {
        std::vector<std::string> told;
        for (const json& event : condition_events(row.before, row.after, {row.kind, "ns", "name"}, kRecord, kUs, "t"))
            told.push_back(event.at("type").get<std::string>() + ": " + event.at("message").get<std::string>());
        EXPECT_EQ(told, row.wanted) << row.claim;
    }
}

TEST(Events, NameTheObjectAndAreBounded)
{
    json many = {{"conditions", json::array()}};
    for (int i = 0; i < 20; ++i)
        many["conditions"].push_back(condition(("Type" + std::to_string(i)).c_str(), "False"));
    many["conditions"][0]["message"] = std::string(5'000, 'x');
    const auto events =
        condition_events({}, many, {"GatewayClass", "", std::string(250, 'n')}, kRecord, kUs, "2026-01-02T03:04:05Z");
    ASSERT_EQ(events.size(), kEventsPerWriteMax);
    const json& first = events.front();
    EXPECT_EQ(first.at("metadata").at("namespace"), "default");
    EXPECT_LE(first.at("metadata").at("generateName").get<std::string>().size(), 201U);
    EXPECT_EQ(first.at("involvedObject").at("uid"), "uid-1");
    EXPECT_EQ(first.at("reason"), "R");
    EXPECT_EQ(first.at("firstTimestamp"), "2026-01-02T03:04:05Z");
    EXPECT_LE(first.at("message").get<std::string>().size(), 1'024U);
}

}  // namespace
}  // namespace sluice::source
