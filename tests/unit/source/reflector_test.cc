// SPDX-License-Identifier: Apache-2.0
// List and watch against a server that forgets, refuses and ends connections.
#include "agent/source/kube/reflector.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <thread>

#include "tests/harness/api_server.h"

namespace sluice::source {
namespace {

using harness::ApiServer;
using nlohmann::json;

const Resource kRoutes{"HTTPRoute", "gateway.networking.k8s.io", {"v1", "v1beta1"}, "httproutes", "", ""};
constexpr const char* kPath = "GET /apis/gateway.networking.k8s.io/v1/httproutes?";

json object(const std::string& name, const std::string& version)
{
    return {{"metadata", {{"namespace", "ns"}, {"name", name}, {"resourceVersion", version}}}};
}

std::string list(const std::vector<json>& items, const std::string& version, const std::string& next = "")
{
    return json{{"metadata", {{"resourceVersion", version}, {"continue", next}}}, {"items", items}}.dump();
}

std::string event(const char* type, const json& about) { return json{{"type", type}, {"object", about}}.dump() + "\n"; }

class ReflectorTest : public testing::Test, public ReflectorUser {
protected:
    ReflectorTest()
    {
        auto config = std::make_shared<KubeConfig>();
        config->server = server_.url();
        loop_ = std::make_unique<ApiLoop>(std::move(config));
        reflector_ = std::make_unique<Reflector>(*loop_, kRoutes, *this);
        reflector_->start();
        thread_ = std::jthread([this](const std::stop_token& stop) { loop_->run(stop); });
    }
    ~ReflectorTest() override
    {
        thread_.request_stop();
        thread_.join();
        reflector_.reset();
    }

    void tell(std::string what)
    {
        const std::lock_guard lock(mutex_);
        told_.push_back(std::move(what));
        changed_.notify_all();
    }
    void on_object(const Resource&, json about) override { tell("+" + about["metadata"]["name"].get<std::string>()); }
    void on_deleted(const Resource&, const json& about) override
    {
        tell("-" + about["metadata"]["name"].get<std::string>());
    }
    void on_listed(const Resource&, const std::set<std::string>& seen) override
    {
        std::string all = "listed:";
        for (const std::string& name : seen)
            all += " " + name;
        tell(all);
    }
    void on_problem(const Resource&, const std::string& message, bool is_absent) override
    {
        if (!message.empty())
            tell(is_absent ? "absent" : "problem");
    }

    // The next thing that was told.
    std::string next_told()
    {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, std::chrono::milliseconds(harness::kApiWaitMs), [&] { return !told_.empty(); }))
            return "nothing";
        std::string first = told_.front();
        told_.erase(told_.begin());
        return first;
    }
    // Answers the first list and hands over the watch that follows.
    ApiServer::Call begin_watch()
    {
        server_.next().answer(200, list({object("a", "5")}, "10"));
        EXPECT_EQ(next_told(), "+a");
        EXPECT_EQ(next_told(), "listed: ns/a");
        ApiServer::Call watch = server_.next();
        EXPECT_NE(watch.line().find("watch=1&allowWatchBookmarks=true&resourceVersion=10&"), std::string::npos);
        watch.open();
        return watch;
    }

    ApiServer server_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> told_;
    std::unique_ptr<ApiLoop> loop_;
    std::unique_ptr<Reflector> reflector_;
    std::jthread thread_;
};

TEST_F(ReflectorTest, ListsInPagesAndWatchesFromThere)
{
    auto first = server_.next();
    EXPECT_EQ(first.line(), std::string(kPath) + "limit=500");
    first.answer(200, list({object("a", "5")}, "9", "to/be continued"));
    auto second = server_.next();
    EXPECT_EQ(second.line(), std::string(kPath) + "limit=500&continue=to%2Fbe%20continued");
    second.answer(200, list({object("b", "6")}, "10"));
    EXPECT_EQ(next_told(), "+a");
    EXPECT_EQ(next_told(), "+b");
    EXPECT_EQ(next_told(), "listed: ns/a ns/b");
    EXPECT_NE(server_.next().line().find("resourceVersion=10&"), std::string::npos);
}

TEST_F(ReflectorTest, AWatchThatEndsIsResumedFromTheLastVersionHeard)
{
    auto watch = begin_watch();
    const std::string change = event("MODIFIED", object("a", "11"));
    watch.send(change.substr(0, 20));
    watch.send(change.substr(20) + event("ADDED", object("b", "12")));
    watch.send(event("DELETED", object("a", "13")) + event("BOOKMARK", object("", "20")));
    EXPECT_EQ(next_told(), "+a");
    EXPECT_EQ(next_told(), "+b");
    EXPECT_EQ(next_told(), "-a");
    watch.close();
    EXPECT_NE(server_.next().line().find("watch=1&allowWatchBookmarks=true&resourceVersion=20&"), std::string::npos);
}

TEST_F(ReflectorTest, AServerThatHasForgottenIsListedAnew)
{
    auto watch = begin_watch();
    watch.send(event("ERROR", {{"code", 410}}));
    EXPECT_TRUE(watch.is_given_up());
    auto again = server_.next();
    EXPECT_EQ(again.line(), std::string(kPath) + "limit=500");
    again.answer(200, list({object("b", "31")}, "40"));
    EXPECT_EQ(next_told(), "+b");
    EXPECT_EQ(next_told(), "listed: ns/b") << "a is gone";
    server_.next().answer(410, "{}");
    EXPECT_EQ(server_.next().line(), std::string(kPath) + "limit=500");
}

TEST_F(ReflectorTest, WhatIsNoWatchEventIsAnsweredByAList)
{
    auto watch = begin_watch();
    watch.send("{\"type\": \"ADDED\", \n");
    EXPECT_TRUE(watch.is_given_up());
    EXPECT_EQ(server_.next().line(), std::string(kPath) + "limit=500");
}

TEST_F(ReflectorTest, WaitsAsLongAsAServerAsksThatHasTooMuchToDo)
{
    const auto begun = std::chrono::steady_clock::now();
    server_.next().answer(429, "", "Retry-After: 1\r\n");
    EXPECT_EQ(next_told(), "problem");
    server_.next().answer(200, list({}, "10"));
    EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
    EXPECT_EQ(next_told(), "listed:");
}

TEST_F(ReflectorTest, AKindIsAskedForByItsNextVersionBeforeItIsAbsent)
{
    server_.next().answer(404, "");
    auto older = server_.next();
    EXPECT_EQ(older.line(), "GET /apis/gateway.networking.k8s.io/v1beta1/httproutes?limit=500");
    older.answer(404, "");
    EXPECT_EQ(next_told(), "absent");
}

// As after an upgrade of the CRDs.
TEST_F(ReflectorTest, AKindIsAskedForByEveryVersionOnceItsOwnIsGone)
{
    server_.next().answer(404, "");
    server_.next().answer(200, list({object("a", "5")}, "10"));
    EXPECT_EQ(next_told(), "+a");
    EXPECT_EQ(next_told(), "listed: ns/a");
    server_.next().answer(404, "");  // its watch
    EXPECT_EQ(next_told(), "problem");
    auto own = server_.next();
    EXPECT_EQ(own.line(), "GET /apis/gateway.networking.k8s.io/v1beta1/httproutes?limit=500");
    own.answer(404, "");
    auto newer = server_.next();
    EXPECT_EQ(newer.line(), std::string(kPath) + "limit=500");
    newer.answer(200, list({object("a", "11")}, "12"));
    EXPECT_EQ(next_told(), "+a") << "and nothing is absent";
}

TEST_F(ReflectorTest, APageThatIsTooLargeIsAskedForInHalves)
{
    server_.next().answer(200, std::string(kResponseBytesMax + 1, ' '));
    auto half = server_.next();
    EXPECT_EQ(half.line(), std::string(kPath) + "limit=250");
    half.answer(200, list({object("a", "5")}, "10"));
    EXPECT_EQ(next_told(), "+a");
}

TEST_F(ReflectorTest, AListThatIsNoneIsAskedForAgain)
{
    for (const char* body : {"", "[]", "{\"items\": 3}", "{"})
        server_.next().answer(200, body);
    EXPECT_EQ(next_told(), "problem");
    server_.next().answer(200, list({}, "10"));
}

}  // namespace
}  // namespace sluice::source
