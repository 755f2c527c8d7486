// SPDX-License-Identifier: Apache-2.0
// When Services are written, against a server that refuses.
#include "agent/source/kube/service_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/harness/api_server.h"

namespace sluice::source {
namespace {

using harness::ApiServer;
using State = model::InfrastructureService::State;

// Every Gateway is there.
class AnyRecord final : public Records {
public:
    [[nodiscard]] std::optional<Record> record(const model::ObjectKey&) const override
    {
        return Record{.api_version = "gateway.networking.k8s.io/v1",
                      .plural = "gateways",
                      .resource_version = "1",
                      .uid = "u1",
                      .status = ""};
    }
    void note_written(const model::ObjectKey&, const Record&, const Record&) override {}
};

model::InfrastructureService service(const std::string& name, const std::string& label = "a")
{
    return {.ns = "ns",
            .name = name,
            .gateway = "g",
            .labels = {{"label", label}},
            .annotations = {},
            .ports = {{.name = "http", .protocol = "TCP", .port = 80}},
            .state = State::Missing};
}

class ServiceWriterTest : public testing::Test {
protected:
    ServiceWriterTest()
    {
        auto config = std::make_shared<KubeConfig>();
        config->server = server_.url();
        writer_ = std::make_unique<ServiceWriter>(std::move(config), records_);
    }
    ~ServiceWriterTest() override
    {
        server_.stop();
        writer_.reset();
    }

    // The next request, which must be this one's.
    ApiServer::Call expect(const model::InfrastructureService& wanted)
    {
        ApiServer::Call call = server_.next();
        EXPECT_EQ(call.line(), "POST /api/v1/namespaces/ns/services");
        const auto body = nlohmann::json::parse(call.body(), nullptr, false);
        EXPECT_TRUE(body.is_object() && body.at("metadata").at("name") == wanted.name &&
                    body.at("metadata").at("labels").at("label") == wanted.labels.at("label"))
            << call.body();
        return call;
    }

    ApiServer server_;
    AnyRecord records_;
    std::unique_ptr<ServiceWriter> writer_;
};

TEST_F(ServiceWriterTest, OneThatIsRefusedIsTriedAgainByItself)
{
    writer_->want({service("s")});
    expect(service("s")).answer(500, "{}");
    expect(service("s")).answer(201, "{}");
    EXPECT_FALSE(server_.is_called(50));
}

TEST_F(ServiceWriterTest, OneThatIsRefusedIsNotTriedAtOnceUnlessItIsAnother)
{
    writer_->want({service("s")});
    expect(service("s")).answer(422, "{}", "Retry-After: 30\r\n");
    writer_->want({service("s")});
    EXPECT_FALSE(server_.is_called(50));
    writer_->want({service("s"), service("t")});
    expect(service("t")).answer(201, "{}");
    writer_->want({service("s", "b")});
    expect(service("s", "b")).answer(201, "{}");
}

TEST_F(ServiceWriterTest, WhatIsNoLongerWantedMakesRoomForWhatIs)
{
    writer_->want({service("s")});
    ApiServer::Call call = expect(service("s"));
    writer_->want({service("t")});
    call.answer(500, "{}");
    expect(service("t")).answer(201, "{}");
}

}  // namespace
}  // namespace sluice::source
