// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/membership.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/harness/api_server.h"

namespace sluice::source {
namespace {

using harness::ApiServer;
using nlohmann::json;

constexpr const char* kLeases = "/apis/coordination.k8s.io/v1/namespaces/ns/leases";

json lease(const std::string& node, const std::string& renewed, const std::string& word = "{}")
{
    return {{"metadata", {{"annotations", {{"sluice.dev/served", word}}}}},
            {"spec", {{"holderIdentity", node}, {"renewTime", renewed}}}};
}

class MembershipTest : public testing::Test {
protected:
    MembershipTest()
    {
        auto config = std::make_shared<KubeConfig>();
        config->server = server_.url();
        membership_ = std::make_unique<Membership>(std::move(config), "ns", "us", [this](Membership::View view) {
            const std::lock_guard lock(mutex_);
            views_.push_back(std::move(view));
            changed_.notify_all();
        });
    }
    ~MembershipTest() override
    {
        server_.stop();
        membership_.reset();
    }

    Membership::View next_view()
    {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, std::chrono::milliseconds(harness::kApiWaitMs), [&] { return !views_.empty(); }))
            return {};
        Membership::View view = views_.front();
        views_.erase(views_.begin());
        return view;
    }
    // Answers a look at the Leases.
    void show(const std::vector<json>& leases)
    {
        auto call = server_.next();
        EXPECT_TRUE(call.line().starts_with(std::string("GET ") + kLeases + "?")) << call.line();
        call.answer(200, json{{"items", leases}}.dump());
    }

    ApiServer server_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Membership::View> views_;
    std::unique_ptr<Membership> membership_;
};

TEST_F(MembershipTest, LooksFromTheStartAndIsAMemberOnceItJoins)
{
    show({lease("other", "1", served_text({{"a/b", "u", 3, {}, {}, {}}}))});
    const auto view = next_view();
    EXPECT_EQ(view.nodes, (std::vector<std::string>{"other", "us"}));
    EXPECT_EQ(view.served.at("other"), (model::ServedGateways{{"a/b", "u", 3, {}, {}, {}}}));
    membership_->say({{"a/c", "u", 1, {}, {}, {}}});
    membership_->join();
    auto renewal = server_.next();
    EXPECT_EQ(renewal.line(), std::string("PATCH ") + kLeases + "/sluice-node-us");
    renewal.answer(404, "");
    auto made = server_.next();
    EXPECT_EQ(made.line(), std::string("POST ") + kLeases);
    const json body = json::parse(made.body());
    EXPECT_EQ(body.at("metadata").at("labels").at("sluice.dev/node"), "us");
    EXPECT_EQ(parse_served(body.at("metadata").at("annotations").at("sluice.dev/served")).at(0).gateway, "a/c");
    made.answer(201, "{}");
    show({lease("other", "2")});
    std::thread end([this] { membership_.reset(); });
    auto last = server_.next();
    while (!last.line().starts_with("DELETE")) {
        last.answer(200, R"({"items": []})");
        last = server_.next();
    }
    EXPECT_EQ(last.line(), std::string("DELETE ") + kLeases + "/sluice-node-us");
    last.answer(200, "{}");
    end.join();
}

TEST_F(MembershipTest, WhoDoesNotRenewIsGoneUnlessNobodyCould)
{
    show({lease("other", "1")});
    EXPECT_EQ(next_view().nodes.size(), 2U);
    const auto begun = std::chrono::steady_clock::now();
    server_.next().answer(503, "");  // the time begins anew
    while (std::chrono::steady_clock::now() - begun < std::chrono::seconds(6)) {
        show({lease("other", "1")});
        const std::lock_guard lock(mutex_);
        if (!views_.empty())
            break;
    }
    EXPECT_EQ(next_view().nodes, std::vector<std::string>{"us"});
    EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::seconds(3));
}

TEST(Membership, WhatANodeSaysIsReadAsItWasSaid)
{
    const model::ServedGateways words[] = {
        {},
        {{"default/web", "u", 3, {"192.0.2.1", "2001:db8::1"}, {}, {}}},
        {{"a/b", "u", 1, {}, {{"http", "in use \"quoted\""}}, {}}, {"a/c", "", 2, {}, {}, {{"192.0.2.1", "no right"}}}},
    };
    for (const model::ServedGateways& word : words)
        EXPECT_EQ(parse_served(served_text(word)), word);
}

TEST(Membership, WhatIsNoWordSaysNothing)
{
    for (const char* text : {"", "null", "[]", "{", "3", R"({"a/b": 3})", R"({"a/b": {"generation": "3"}})",
                             R"({"a/b": {"generation": 1.5}})"})
        EXPECT_TRUE(parse_served(text).empty()) << text;
    const auto odd = parse_served(R"({"a/b": {"generation": 3, "listeners": [1], "addresses": {"x": 7},
                                              "has": [3, "y"], "uid": 5, "more": {}}})");
    ASSERT_EQ(odd.size(), 1U);
    EXPECT_TRUE(odd[0].failed_listeners.empty());
    EXPECT_EQ(odd[0].failed_addresses.at("x"), "");
    EXPECT_EQ(odd[0].addresses, std::set<std::string>{"y"});
    EXPECT_EQ(odd[0].uid, "");
}

TEST(Membership, AWordIsBounded)
{
    const model::ServedGateways wordy{{"a/b", "u", 1, {}, {{"http", std::string(10'000, 'x')}}, {}}};
    EXPECT_LT(served_text(wordy).size(), 400U);
    EXPECT_EQ(served_text({{"a/b", "u", 1, {}, {{"http", "\xff"}}, {}}}).find('\xff'), std::string::npos);
    model::ServedGateways many;
    for (int i = 0; i < 10'000; ++i)
        many.push_back({"namespace/gateway-" + std::to_string(i), "u", 1, {}, {}, {}});
    EXPECT_EQ(served_text(many), "");
    many.resize(many.size() / 4);
    for (model::ServedGateway& one : many)
        one.failed_listeners["http"] = std::string(200, 'x');
    const std::string short_of_reasons = served_text(many);
    ASSERT_NE(short_of_reasons, "") << "that something fails is said, if not why";
    EXPECT_EQ(parse_served(short_of_reasons).front().failed_listeners.at("http"), "");
}

}  // namespace
}  // namespace sluice::source
