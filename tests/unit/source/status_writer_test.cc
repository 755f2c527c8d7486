// SPDX-License-Identifier: Apache-2.0
// What is written of statuses, and in which order, against a server that is slow and refuses.
#include "agent/source/kube/status_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/harness/api_server.h"

namespace sluice::source {
namespace {

using harness::ApiServer;
using nlohmann::json;

const model::ObjectKey kKey{"Gateway", "ns", "g"};

// The one object that there is.
class OneRecord final : public Records {
public:
    [[nodiscard]] std::optional<Record> record(const model::ObjectKey& key) const override
    {
        const std::lock_guard lock(mutex_);
        return key == kKey ? std::optional(held_) : std::nullopt;
    }
    void note_written(const model::ObjectKey&, const Record&, const Record& written) override
    {
        const std::lock_guard lock(mutex_);
        held_ = written;
    }
    // It was deleted and made again.
    void recreate()
    {
        const std::lock_guard lock(mutex_);
        held_ = made("9");
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
    Record held_ = made("1");
};

model::ObjectStatus status(const std::string& message)
{
    return {
        .key = kKey,
        .conditions = {
            {.type = "Accepted", .status = true, .reason = "Accepted", .message = message, .observed_generation = 1}}};
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
    static void expect_write(const ApiServer::Call& call, const std::string& message, const std::string& version)
    {
        EXPECT_EQ(call.line(), "PUT /apis/gateway.networking.k8s.io/v1/namespaces/ns/gateways/g/status");
        const json body = json::parse(call.body());
        EXPECT_EQ(body.at("status").at("conditions").at(0).at("message"), message);
        EXPECT_EQ(body.at("metadata").at("resourceVersion"), version);
    }

    ApiServer server_;
    OneRecord records_;
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
    ApiServer::Call list = next();
    EXPECT_EQ(list.line(),
              "GET /apis/gateway.networking.k8s.io/v1/namespaces/ns/gateways?fieldSelector=metadata.name%3Dg");
    const json foreign = json::parse(R"({"conditions":[{"type":"Theirs","status":"True","reason":"R","message":""}]})");
    list.answer(200, R"({"items":[)" + object(foreign, "7") + "]}");
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
