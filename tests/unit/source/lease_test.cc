// SPDX-License-Identifier: Apache-2.0
// Who leads, against a server whose Lease the test holds.
#include "agent/source/kube/lease.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>

#include "tests/harness/api_server.h"

namespace sluice::source {
namespace {

using harness::ApiServer;
using nlohmann::json;

constexpr const char* kLease = "/apis/coordination.k8s.io/v1/namespaces/ns/leases/status";

std::string lease(const std::string& holder, const std::string& renewed)
{
    return json{{"metadata", {{"name", "status"}}}, {"spec", {{"holderIdentity", holder}, {"renewTime", renewed}}}}
        .dump();
}

class LeaseTest : public testing::Test {
protected:
    LeaseTest()
    {
        auto config = std::make_shared<KubeConfig>();
        config->server = server_.url();
        leadership_ = std::make_unique<Leadership>(std::move(config),
                                                   LeaseOptions{.ns = "ns",
                                                                .name = "status",
                                                                .holder = "us",
                                                                .duration = std::chrono::seconds(1),
                                                                .renew = std::chrono::seconds(1)},
                                                   [this](bool leading) {
                                                       const std::lock_guard lock(mutex_);
                                                       leading_ = leading;
                                                       changed_.notify_all();
                                                   });
    }
    ~LeaseTest() override
    {
        server_.stop();
        leadership_.reset();
    }

    // The next request, which must be this.
    ApiServer::Call expect(const std::string& line)
    {
        ApiServer::Call call = server_.next();
        EXPECT_EQ(call.line(), line);
        return call;
    }
    bool leads()
    {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::milliseconds(harness::kApiWaitMs), [this] { return leading_; });
    }

    const std::string get_ = std::string("GET ") + kLease;
    const std::string put_ = std::string("PUT ") + kLease;
    ApiServer server_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool leading_ = false;
    std::unique_ptr<Leadership> leadership_;
};

TEST_F(LeaseTest, OneThatIsAbsentIsMade)
{
    expect(get_).answer(404, "");
    auto made = expect("POST /apis/coordination.k8s.io/v1/namespaces/ns/leases");
    EXPECT_EQ(json::parse(made.body()).at("spec").at("holderIdentity"), "us");
    made.answer(201, "{}");
    EXPECT_TRUE(leads());
}

TEST_F(LeaseTest, OneThatNobodyRenewsIsTakenAfterItsTimeByOurOwnClock)
{
    const auto begun = std::chrono::steady_clock::now();
    for (;;) {
        auto call = server_.next();
        if (call.line() == get_) {
            call.answer(200, lease("another", "2000-01-01T00:00:00Z"));  // long over by the other's clock
            continue;
        }
        EXPECT_EQ(call.line(), put_);
        EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
        EXPECT_EQ(json::parse(call.body()).at("spec").at("holderIdentity"), "us");
        call.answer(200, "{}");
        break;
    }
    EXPECT_TRUE(leads());
}

TEST_F(LeaseTest, OneThatIsRenewedIsLeftAlone)
{
    const auto begun = std::chrono::steady_clock::now();
    for (int renewals = 0; std::chrono::steady_clock::now() - begun < std::chrono::seconds(2); ++renewals)
        expect(get_).answer(200, lease("another", std::to_string(renewals)));
    EXPECT_FALSE(leading_);
}

TEST_F(LeaseTest, AConflictIsNoLeadership)
{
    expect(get_).answer(200, lease("", ""));
    expect(put_).answer(409, "");
    expect(get_).answer(200, lease("another", "1"));
    expect(get_).answer(200, lease("another", "2"));
    EXPECT_FALSE(leading_);
}

TEST_F(LeaseTest, IsGivenUpAtTheEnd)
{
    expect(get_).answer(200, lease("", ""));
    expect(put_).answer(200, "{}");
    EXPECT_TRUE(leads());
    std::thread end([this] { leadership_.reset(); });
    auto call = server_.next();
    while (call.line() == get_) {
        call.answer(200, lease("us", "1"));
        call = server_.next();
        if (call.line() == put_ && json::parse(call.body()).at("spec").at("holderIdentity") == "us") {
            call.answer(200, "{}");  // a renewal that was under way
            call = server_.next();
        }
    }
    EXPECT_EQ(call.line(), put_);
    EXPECT_EQ(json::parse(call.body()).at("spec").at("holderIdentity"), "");
    call.answer(200, "{}");
    end.join();
}

}  // namespace
}  // namespace sluice::source
