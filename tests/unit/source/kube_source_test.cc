// SPDX-License-Identifier: Apache-2.0
// Which Secrets are read on behalf of which Gateways, against a server that has them.
#include "agent/source/kube/kube_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/harness/api_server.h"

namespace sluice::source {
namespace {

using harness::ApiServer;
using nlohmann::json;

constexpr const char* kOurs = "example.com/ours";
constexpr const char* kGatewayApi = "gateway.networking.k8s.io/v1";

json gateway_class(const std::string& name, const std::string& controller)
{
    return {{"apiVersion", kGatewayApi},
            {"metadata", {{"name", name}, {"resourceVersion", "1"}}},
            {"spec", {{"controllerName", controller}}}};
}

// With listeners of at most 64 certificates each.
json gateway(const std::string& name, const std::string& of_class, const std::vector<std::string>& secrets)
{
    json listeners = json::array();
    for (std::size_t i = 0; i < secrets.size(); i += 64) {
        json refs = json::array();
        for (std::size_t k = i; k < std::min(i + 64, secrets.size()); ++k)
            refs.push_back({{"name", secrets[k]}});
        listeners.push_back({{"name", "l" + std::to_string(i)},
                             {"port", 443},
                             {"protocol", "HTTPS"},
                             {"hostname", "h" + std::to_string(i) + ".example.com"},
                             {"tls", {{"certificateRefs", std::move(refs)}}}});
    }
    return {{"apiVersion", kGatewayApi},
            {"metadata", {{"name", name}, {"namespace", "ns"}, {"resourceVersion", "1"}}},
            {"spec", {{"gatewayClassName", of_class}, {"listeners", std::move(listeners)}}}};
}

class KubeSourceTest : public testing::Test {
protected:
    ~KubeSourceTest() override
    {
        source_.reset();
        thread_.request_stop();
        thread_.join();
    }

    void start(std::vector<json> classes, std::vector<json> gateways)
    {
        lists_["/gatewayclasses"] = std::move(classes);
        lists_["/gateways"] = std::move(gateways);
        thread_ = std::jthread([this](const std::stop_token& stop) {
            while (!stop.stop_requested())
                if (server_.is_called(10))
                    serve(server_.next());
        });
        auto config = std::make_shared<KubeConfig>();
        config->server = server_.url();
        auto made = KubeSource::make(std::move(config), kOurs);
        ASSERT_TRUE(made) << to_string(made.error());
        source_ = *std::move(made);
        wait_until([this] { return source_->is_complete(); });
    }

    // Lists what there is, any Secret that is asked for by name, and keeps the watches.
    void serve(ApiServer::Call call)
    {
        const std::lock_guard lock(mutex_);
        if (call.head().empty())
            return;  // given up at the end of the test
        const std::string path = call.line().substr(4, call.line().find('?') - 4);
        const std::string kind = path.substr(path.rfind('/'));
        if (call.line().find("watch=1") != std::string::npos) {
            call.open();
            watches_.emplace(kind, std::move(call));
            return;
        }
        std::vector<json> items = lists_[kind];
        if (kind == "/secrets") {
            const std::size_t begin = call.line().find("%3D") + 3;
            const std::string name = call.line().substr(begin, call.line().find('&') - begin);
            asked_.push_back(name);
            if (name == refused_)
                return call.answer(403, "{}");
            if (name == stalled_) {
                watches_.emplace(kind, std::move(call));
                return;
            }
            items = {{{"metadata", {{"namespace", "ns"}, {"name", name}}}, {"type", "Opaque"}}};
        }
        call.answer(200, json{{"metadata", {{"resourceVersion", "5"}}}, {"items", items}}.dump());
    }
    void add(const json& gateway)
    {
        const std::lock_guard lock(mutex_);
        const auto watch = watches_.find("/gateways");
        ASSERT_NE(watch, watches_.end());
        watch->second.send(json{{"type", "ADDED"}, {"object", gateway}}.dump() + "\n");
    }
    std::vector<std::string> asked()
    {
        const std::lock_guard lock(mutex_);
        std::ranges::sort(asked_);
        return asked_;
    }
    [[nodiscard]] bool has_secret(const std::string& name) const
    {
        const auto secrets = source_->load().objects.secrets;
        return std::ranges::any_of(secrets, [&](const model::Secret& one) { return one.meta.name == name; });
    }
    template <class Condition> void wait_until(Condition is_so)
    {
        const auto begun = std::chrono::steady_clock::now();
        while (!is_so() && std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(harness::kApiWaitMs))
            std::this_thread::yield();
        ASSERT_TRUE(is_so()) << asked().size() << " Secrets were asked for";
    }

    ApiServer server_;
    std::mutex mutex_;
    std::map<std::string, std::vector<json>> lists_;
    std::multimap<std::string, ApiServer::Call> watches_;
    std::vector<std::string> asked_;
    std::string refused_;
    std::string stalled_;  // is never answered
    std::unique_ptr<KubeSource> source_;
    std::jthread thread_;
};

TEST_F(KubeSourceTest, WhatGatewaysOfOtherControllersReferToIsNotRead)
{
    start({gateway_class("sluice", kOurs), gateway_class("theirs", "example.com/theirs")},
          {gateway("a", "sluice", {"ours"}), gateway("b", "theirs", {"theirs"}), gateway("c", "absent", {"absent"})});
    EXPECT_EQ(asked(), std::vector<std::string>{"ours"});
    EXPECT_TRUE(has_secret("ours"));
    EXPECT_EQ(source_->load().objects.gateways.size(), 3U);
}

TEST_F(KubeSourceTest, ANameThatNoSecretHasAndOneThatIsRefusedKeepNothingWaiting)
{
    refused_ = "refused";
    start({gateway_class("sluice", kOurs)}, {gateway("a", "sluice", {"a,b", "refused", "good"})});
    EXPECT_EQ(asked(), (std::vector<std::string>{"good", "refused"}));
    EXPECT_TRUE(has_secret("good"));
}

TEST_F(KubeSourceTest, OverTheLimitANewcomerDoesNotTakeWhatServes)
{
    start({gateway_class("sluice", kOurs)}, {gateway("a", "sluice", {"zz-serves"})});
    ASSERT_TRUE(has_secret("zz-serves"));
    std::vector<std::string> many;
    for (int i = 0; i < 510; ++i)
        many.push_back("many-" + std::to_string(i));
    add(gateway("b", "sluice", many));
    wait_until([this] { return asked().size() == 500; });
    wait_until([this] { return source_->is_complete(); });
    EXPECT_TRUE(has_secret("zz-serves"));
    const auto problems = source_->load().problems;
    EXPECT_TRUE(std::ranges::any_of(problems, [](const Problem& one) {
        return one.message == "511 Secrets and ConfigMaps are referred to; 500 are read, as many for each namespace";
    }));
}

TEST_F(KubeSourceTest, ASecretThatDoesNotComeHoldsUpOtherChangesForAMomentOnly)
{
    stalled_ = "stalled";
    start({gateway_class("sluice", kOurs)}, {gateway("a", "sluice", {"good"})});
    add(gateway("b", "sluice", {"stalled"}));
    wait_until([this] { return asked() == std::vector<std::string>{"good", "stalled"}; });
    EXPECT_FALSE(source_->is_complete());
    wait_until([this] { return source_->is_complete(); });
    EXPECT_EQ(source_->load().objects.gateways.size(), 2U);
    EXPECT_TRUE(has_secret("good"));
}

TEST_F(KubeSourceTest, AGatewayMadeAnewIsAnotherOne)
{
    json first = gateway("a", "sluice", {"s"});
    first["metadata"]["uid"] = "u1";
    start({gateway_class("sluice", kOurs)}, {first});
    EXPECT_EQ(source_->load().objects.gateways.at(0).meta.uid, "u1");
    first["metadata"]["uid"] = "u2";
    add(first);
    wait_until([this] { return source_->load().objects.gateways.at(0).meta.uid == "u2"; });
}

}  // namespace
}  // namespace sluice::source
