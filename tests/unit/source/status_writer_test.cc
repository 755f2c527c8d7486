// SPDX-License-Identifier: Apache-2.0
// What is written of statuses, and in which order, against a server that is slow and refuses.
#include "agent/source/kube/status_writer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/harness/api_server.h"

namespace sluice::source {
namespace {

using harness::ApiServer;
using nlohmann::json;

const model::ObjectKey kKey{"Gateway", "ns", "g"};

// Every Gateway that is asked for is there.
class AllRecords final : public Records {
public:
    [[nodiscard]] std::optional<Record> record(const model::ObjectKey& key) const override
    {
        const std::lock_guard lock(mutex_);
        const auto held = held_.find(key);
        return held == held_.end() ? made("1") : held->second;
    }
    void note_written(const model::ObjectKey& key, const Record&, const Record& written) override
    {
        const std::lock_guard lock(mutex_);
        held_[key] = written;
    }
    // The one of kKey was deleted and made again.
    void recreate()
    {
        const std::lock_guard lock(mutex_);
        held_[kKey] = made("9");
    }

private:
    static Record made(const std::string& version)
    {
        return {.api_version = "gateway.networking.k8s.io/v1",
                .plural = "gateways",
                .resource_version = version,
                .uid = "u" + version,
                .status = "{}"};
    }
    mutable std::mutex mutex_;
    std::map<model::ObjectKey, Record> held_;  // that have changed
};

model::ObjectStatus status(const std::string& message, const std::string& name = "g")
{
    return {
        .key = {kKey.kind, kKey.ns, name},
        .conditions = {
            {.type = "Accepted", .status = true, .reason = "Accepted", .message = message, .observed_generation = 1}}};
}

// Each of its conditions becomes an Event.
model::ObjectStatus bad_status(const std::string& name)
{
    model::ObjectStatus bad = status("bad", name);
    bad.conditions.front().status = false;
    bad.conditions.push_back(bad.conditions.front());
    bad.conditions.back().type = "ResolvedRefs";
    return bad;
}

class StatusWriterTest : public testing::Test {
protected:
    StatusWriterTest()
    {
        auto config = std::make_shared<KubeConfig>();
        config->server = server_.url();
        writer_ = std::make_unique<StatusWriter>(std::move(config), records_, "example.com/c");
        writer_->set_leading(true);
    }
    ~StatusWriterTest() override
    {
        server_.stop();
        writer_.reset();
    }

    // The next write of a status, accepted.
    void accept_write()
    {
        ApiServer::Call call = server_.next();
        EXPECT_TRUE(call.line().starts_with("PUT ")) << call.line();
        const json body = json::parse(call.body(), nullptr, false);
        call.answer(200, object(body.is_object() ? body.at("status") : json(), "2"));
    }
    // The next request, which must be an Event.
    ApiServer::Call next_event()
    {
        ApiServer::Call call = server_.next();
        EXPECT_EQ(call.line(), "POST /api/v1/namespaces/ns/events");
        return call;
    }
    // The next request that is no Event.
    ApiServer::Call next()
    {
        for (;;) {
            ApiServer::Call call = server_.next();
            if (!call.line().ends_with("/events"))
                return call;
            call.answer(201, "{}");
        }
    }
    // As the server answers who has written, or asks, at this version.
    static std::string object(const json& status, const std::string& version)
    {
        return json{{"metadata", {{"name", "g"}, {"resourceVersion", version}, {"uid", "u1"}}}, {"status", status}}
            .dump();
    }
    // To the list that follows a conflict.
    static std::string list(const json& status, const std::string& version)
    {
        return R"({"items":[)" + object(status, version) + "]}";
    }
    static void expect_write(const ApiServer::Call& call, const std::string& message, const std::string& version)
    {
        EXPECT_EQ(call.line(), "PUT /apis/gateway.networking.k8s.io/v1/namespaces/ns/gateways/g/status");
        const json body = json::parse(call.body());
        EXPECT_EQ(body.at("status").at("conditions").at(0).at("message"), message);
        EXPECT_EQ(body.at("metadata").at("resourceVersion"), version);
    }

    ApiServer server_;
    AllRecords records_;
    std::unique_ptr<StatusWriter> writer_;
};

TEST_F(StatusWriterTest, WhatIsWantedDuringAWriteIsWrittenAfterIt)
{
    writer_->want({status("first")});
    ApiServer::Call first = next();
    expect_write(first, "first", "1");
    writer_->want({status("second")});
    // Any other thread of the writer would come now, and one of the two be refused and written last.
    EXPECT_FALSE(server_.is_called(50));
    first.answer(200, object(json::parse(first.body()).at("status"), "2"));
    ApiServer::Call second = next();
    expect_write(second, "second", "2");
    second.answer(200, object(json::parse(second.body()).at("status"), "3"));
}

TEST_F(StatusWriterTest, AConflictIsWrittenToWhatIsThereNow)
{
    writer_->want({status("ours")});
    next().answer(409, "{}");
    ApiServer::Call asked = next();
    EXPECT_EQ(asked.line(),
              "GET /apis/gateway.networking.k8s.io/v1/namespaces/ns/gateways?fieldSelector=metadata.name%3Dg");
    const json foreign = json::parse(R"({"conditions":[{"type":"Theirs","status":"True","reason":"R","message":""}]})");
    asked.answer(200, list(foreign, "7"));
    ApiServer::Call again = next();
    const json body = json::parse(again.body());
    EXPECT_EQ(body.at("metadata").at("resourceVersion"), "7");
    EXPECT_EQ(body.at("status").at("conditions").size(), 2U) << "a condition of somebody else is kept";
    again.answer(200, object(body.at("status"), "8"));
}

TEST_F(StatusWriterTest, AFailedWriteIsTriedAgain)
{
    writer_->want({status("ours")});
    next().answer(500, "{}");
    ApiServer::Call again = next();
    expect_write(again, "ours", "1");
    again.answer(200, object(json::parse(again.body()).at("status"), "2"));
}

TEST_F(StatusWriterTest, WhoNoLongerLeadsDoesNotWriteAgainAfterAConflict)
{
    writer_->want({status("ours")});
    ApiServer::Call call = next();
    writer_->set_leading(false);
    call.answer(409, "{}");
    next().answer(200, list(json::object(), "7"));
    EXPECT_FALSE(server_.is_called(50));
    writer_->set_leading(true);
    expect_write(next(), "ours", "1");
}

TEST_F(StatusWriterTest, AfterAConflictTheNewestIsWritten)
{
    writer_->want({status("first")});
    ApiServer::Call first = next();
    expect_write(first, "first", "1");
    writer_->want({status("second")});
    first.answer(409, "{}");
    next().answer(200, list(json::object(), "7"));
    expect_write(next(), "second", "1");
}

// More than there are threads; all but one are away for long.
TEST_F(StatusWriterTest, RefusedObjectsHoldUpNoOthers)
{
    model::Statuses all;
    for (const char* name : {"a", "b", "c", "d", "e", "f", "z"})
        all.emplace_back(status("ours", name));
    writer_->want(std::move(all));
    std::map<std::string, int> asked;
    while (asked["z"] == 0 || asked["a"] < 2) {
        ApiServer::Call call = next();
        const json body = json::parse(call.body(), nullptr, false);
        ASSERT_TRUE(body.is_object());
        const std::string name = body.at("metadata").at("name");
        ++asked[name];
        if (name == "z")
            call.answer(200, object(body.at("status"), "2"));
        else
            call.answer(500, "{}", name == "a" ? "" : "Retry-After: 30\r\n");
    }
    for (const char* name : {"b", "c", "d", "e", "f", "z"})
        EXPECT_EQ(asked[name], 1) << name;
}

TEST_F(StatusWriterTest, OneThatIsRefusedIsWrittenAtOnceWhenItIsWantedAnew)
{
    const std::string long_after = "Retry-After: 30\r\n";
    writer_->want({status("first")});
    next().answer(422, "{}", long_after);
    EXPECT_FALSE(server_.is_called(50));
    writer_->want({status("second")});
    ApiServer::Call second = next();
    expect_write(second, "second", "1");
    second.answer(422, "{}", long_after);
    EXPECT_FALSE(server_.is_called(50));
    writer_->look_at(kKey);
    next().answer(422, "{}", long_after);
    EXPECT_FALSE(server_.is_called(50));
    writer_->set_leading(false);
    writer_->set_leading(true);
    expect_write(next(), "second", "1");
}

TEST_F(StatusWriterTest, WaitsAsLongAsAServerAsksThatHasTooMuchToDo)
{
    const auto begun = std::chrono::steady_clock::now();
    writer_->want({status("ours")});
    next().answer(429, "{}", "Retry-After: 1\r\n");
    expect_write(next(), "ours", "1");
    EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
}

TEST_F(StatusWriterTest, EventsThatTheServerHasNoTimeForAreLeftOut)
{
    writer_->want({bad_status("g")});
    accept_write();
    next_event().answer(503, "{}");
    EXPECT_FALSE(server_.is_called(50)) << "nor is the other one of this status sent";
    writer_->want({bad_status("g"), bad_status("h")});
    accept_write();
    EXPECT_FALSE(server_.is_called(50));
}

TEST_F(StatusWriterTest, AnEventThatIsRefusedIsLeftOutAlone)
{
    writer_->want({bad_status("g")});
    accept_write();
    next_event().answer(403, "{}");
    next_event().answer(201, "{}");
}

TEST_F(StatusWriterTest, WhatIsAsItShouldBeIsNotWritten)
{
    writer_->want({status("ours")});
    ApiServer::Call call = next();
    call.answer(200, object(json::parse(call.body()).at("status"), "2"));
    writer_->look_at(kKey);
    writer_->want({status("other")});
    expect_write(next(), "other", "2");
}

TEST_F(StatusWriterTest, AnotherObjectOfTheNameGetsTheSameStatusWithTheNextPlan)
{
    writer_->want({status("ours")});
    ApiServer::Call first = next();
    first.answer(200, object(json::parse(first.body()).at("status"), "2"));
    EXPECT_FALSE(server_.is_called(50));
    records_.recreate();
    writer_->forget(kKey);
    EXPECT_FALSE(server_.is_called(50)) << "what was wanted is of the old object";
    writer_->want({status("ours")});
    ApiServer::Call again = next();
    expect_write(again, "ours", "9");
    again.answer(200, object(json::parse(again.body()).at("status"), "10"));
}

TEST_F(StatusWriterTest, OnlyWhoLeadsWrites)
{
    writer_->set_leading(false);
    writer_->want({status("ours")});
    EXPECT_FALSE(server_.is_called(50));
    writer_->set_leading(true);
    expect_write(next(), "ours", "1");
}

TEST_F(StatusWriterTest, EndsWithWritesStillDue)
{
    writer_->want({status("ours")});
    next().answer(500, "{}");
    server_.stop();
    writer_.reset();
}

}  // namespace
}  // namespace sluice::source
