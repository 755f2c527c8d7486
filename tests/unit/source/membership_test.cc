// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/membership.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "agent/source/kube/served_text.h"
#include "tests/harness/api_server.h"

namespace sluice::source {
namespace {

using harness::ApiServer;
using nlohmann::json;

constexpr const char* kLeases = "/apis/coordination.k8s.io/v1/namespaces/ns/leases";

std::string on_leases(const std::string& method) { return method + " " + kLeases; }

json lease(const std::string& node, const std::string& renewed)
{
    return {{"metadata", {{"resourceVersion", "7"}}}, {"spec", {{"holderIdentity", node}, {"renewTime", renewed}}}};
}

json word(const std::string& node, const model::ServedGateways& served)
{
    return {{"metadata", {{"annotations", {{"sluice.dev/served", served_text(served)}}}}},
            {"spec", {{"holderIdentity", node}}}};
}

std::string list(const std::vector<json>& leases) { return json{{"items", leases}}.dump(); }

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
    // Answers a look at the nodes' Leases.
    void show(const std::vector<json>& leases)
    {
        auto call = server_.next();
        EXPECT_TRUE(is_look(call)) << call.line();
        call.answer(200, list(leases));
    }
    static bool is_look(const ApiServer::Call& call)
    {
        return call.line().starts_with(std::string("GET ") + kLeases + "?") &&
               call.line().ends_with("sluice.dev%2Fnode");
    }
    // Makes this node a member, whose Leases are there.
    void join()
    {
        membership_->join();
        for (const char* name : {"/sluice-served-us", "/sluice-node-us"}) {
            auto call = server_.next();
            EXPECT_EQ(call.line(), std::string("PATCH ") + kLeases + name);
            call.answer(200, "{}");
        }
    }
    // Answers all looks by `leases` and takes all that is written, until there is a view or the time is over.
    template <class Leases> bool answer_until_view(std::chrono::milliseconds time, const Leases& leases)
    {
        const auto end = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < end) {
            {
                const std::lock_guard lock(mutex_);
                if (!views_.empty())
                    return true;
            }
            auto call = server_.next();
            call.answer(200, is_look(call) ? list(leases()) : "{}");
        }
        return false;
    }

    ApiServer server_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Membership::View> views_;
    std::unique_ptr<Membership> membership_;
};

TEST_F(MembershipTest, LooksFromTheStartAndIsAMemberOnceItJoins)
{
    show({lease("other", "1")});
    EXPECT_EQ(next_view().nodes, (std::vector<std::string>{"other", "us"}));
    membership_->say({{"a/c", "u", 1, {}, {}, {}}});
    membership_->join();
    for (const std::string kind : {"served", "node"}) {  // its word first: it is no member yet
        auto renewal = server_.next();
        EXPECT_EQ(renewal.line(), on_leases("PATCH") + "/sluice-" + kind + "-us");
        renewal.answer(404, "");
        auto made = server_.next();
        EXPECT_EQ(made.line(), on_leases("POST"));
        const json body = json::parse(made.body());
        EXPECT_EQ(body.at("metadata").at("labels").at("sluice.dev/" + kind), "us");
        EXPECT_EQ(body.at("spec").at("holderIdentity"), "us");
        EXPECT_EQ(body.at("metadata").contains("annotations"), kind == "served");
        if (kind == "served") {
            EXPECT_EQ(parse_served(body.at("metadata").at("annotations").at("sluice.dev/served")).at(0).gateway, "a/c");
        }
        made.answer(201, "{}");
    }
    show({lease("other", "2")});
    std::thread end([this] { membership_.reset(); });
    auto last = server_.next();
    while (!last.line().starts_with("DELETE")) {
        last.answer(200, R"({"items": []})");
        last = server_.next();
    }
    EXPECT_EQ(last.line(), on_leases("DELETE") + "/sluice-node-us");
    last.answer(200, "{}");
    last = server_.next();
    EXPECT_EQ(last.line(), on_leases("DELETE") + "/sluice-served-us");
    last.answer(200, "{}");
    end.join();
}

TEST_F(MembershipTest, WhatIsServedIsWrittenWhenItChangesAndNotWithEachRenewal)
{
    show({});
    next_view();
    join();
    show({});
    for (int round = 0; round < 2; ++round) {
        auto call = server_.next();
        EXPECT_EQ(call.line(), on_leases("PATCH") + "/sluice-node-us");
        EXPECT_EQ(json::parse(call.body()).contains("metadata"), false);
        call.answer(200, "{}");
        show({});
    }
    membership_->say({{"a/c", "u", 1, {}, {}, {}}});
    auto said = server_.next();
    EXPECT_EQ(said.line(), on_leases("PATCH") + "/sluice-served-us");
    said.answer(500, "");
    server_.next().answer(200, "{}");
    show({});
    said = server_.next();
    EXPECT_EQ(said.line(), on_leases("PATCH") + "/sluice-served-us") << "what failed is said again";
    said.answer(200, "{}");
}

TEST_F(MembershipTest, TheOthersAreHeardByWhoListensAlone)
{
    const model::ServedGateways served{{"a/b", "u", 3, {}, {}, {}}};
    show({lease("other", "1")});
    EXPECT_TRUE(next_view().served.empty());
    membership_->listen(Attention::Hurried);
    auto call = server_.next();
    EXPECT_TRUE(call.line().ends_with("sluice.dev%2Fserved")) << call.line();
    call.answer(200, list({word("other", served), word("nobody", served), word("us", served)}));
    EXPECT_EQ(next_view().served, (model::ServedByNode{{"other", served}})) << "who is no member has no say";
    membership_->listen(Attention::None);
    EXPECT_TRUE(answer_until_view(std::chrono::seconds(5), [] { return std::vector{lease("other", "2")}; }));
    EXPECT_TRUE(next_view().served.empty());
}

TEST_F(MembershipTest, WhoDoesNotRenewIsGoneUnlessNobodyCould)
{
    show({lease("other", "1")});
    EXPECT_EQ(next_view().nodes.size(), 2U);
    const auto begun = std::chrono::steady_clock::now();
    server_.next().answer(503, "");  // the time begins anew
    const auto same = [] { return std::vector{lease("other", "1")}; };
    EXPECT_TRUE(answer_until_view(std::chrono::seconds(6), same));
    EXPECT_EQ(next_view().nodes, std::vector<std::string>{"us"});
    EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::seconds(3));
    server_.next().answer(503, "");
    EXPECT_FALSE(answer_until_view(std::chrono::milliseconds(2'500), same)) << "who was gone before is gone still";
    EXPECT_TRUE(answer_until_view(std::chrono::seconds(5), [] { return std::vector{lease("other", "2")}; }));
    EXPECT_EQ(next_view().nodes.size(), 2U);
}

TEST_F(MembershipTest, AListThatDoesNotKnowOurOwnRenewalsTakesNobodyForGone)
{
    show({lease("other", "1"), lease("us", "1")});
    EXPECT_EQ(next_view().nodes.size(), 2U);
    join();
    EXPECT_FALSE(
        answer_until_view(std::chrono::seconds(5), [] { return std::vector{lease("other", "1"), lease("us", "1")}; }));
    int renewals = 1;
    EXPECT_TRUE(answer_until_view(std::chrono::seconds(6), [&] {
        return std::vector{lease("other", "1"), lease("us", std::to_string(++renewals))};
    }));
    EXPECT_EQ(next_view().nodes, std::vector<std::string>{"us"});
}

TEST_F(MembershipTest, ALeaseThatWasLongDeadBeforeWeCameIsNobodys)
{
    show({lease("dead", "2026-01-01T09:58:00.000000Z"), lease("late", "2026-01-01T09:59:30.000000Z"),
          lease("other", "2026-01-01T10:00:00.000000Z")});
    EXPECT_EQ(next_view().nodes, (std::vector<std::string>{"late", "other", "us"}));
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
