// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/api_client.h"

#include <future>

#include "tests/harness/api_server.h"

namespace sluice::source {
namespace {

// That the name is asked for and verified is curl's part; what is not is that the server is still the one it was.
TEST(ApiClient, AServerOfAnotherNameIsConnectedToAndAskedAsEver)
{
    harness::ApiServer server;
    const std::string authority = server.url().substr(std::string("http://").size());
    for (const char* name : {"", "api.example.com"}) {
        const auto config = std::make_shared<KubeConfig>();
        config->server = server.url() + "/behind";
        config->server_name = name;
        auto answer = std::async(std::launch::async, [&] { return ApiClient(config).call({.path = "/api"}); });
        auto call = server.next();
        call.answer(200, "{}");
        const auto response = answer.get();
        EXPECT_TRUE(response && response->status == 200);
        EXPECT_EQ(call.line(), "GET /behind/api");
        EXPECT_NE(call.head().find("Host: " + authority + "\r\n"), std::string::npos) << call.head();
    }
}

TEST(ApiClient, AServerThatFallsSilentEndsTheCall)
{
    harness::ApiServer server;
    const auto config = std::make_shared<KubeConfig>();
    config->server = server.url();
    auto answer = std::async(std::launch::async, [&] {
        return ApiClient(config).call({.path = "/api", .silence_max = std::chrono::seconds(1)});
    });
    auto call = server.next();
    call.open();
    EXPECT_EQ(answer.wait_for(std::chrono::milliseconds(harness::kApiWaitMs)), std::future_status::ready);
    call.close();
    EXPECT_FALSE(answer.get());
}

// The program is a shell, whose token is its process number.
TEST(ApiClient, ATokenThatTheServerRefusesIsAskedForAgain)
{
    harness::ApiServer server;
    const auto config = std::make_shared<KubeConfig>();
    config->server = server.url();
    config->token = KubeToken::of_program({.api_version = "client.authentication.k8s.io/v1",
                                           .command = {"/bin/sh", "-c", R"(echo "{\"status\": {\"token\": \"$$\"}}")"},
                                           .environment = {}});
    ApiClient client(config);
    const auto token_of_call = [&](int status) {
        auto answer = std::async(std::launch::async, [&] { return client.call({.path = "/api"}); });
        auto call = server.next();
        call.answer(status, "{}");
        EXPECT_TRUE(answer.get());
        const std::size_t begin = call.head().find("Authorization: Bearer ");
        return begin == std::string::npos ? "" : call.head().substr(begin, call.head().find("\r\n", begin) - begin);
    };
    const std::string first = token_of_call(200);
    EXPECT_NE(first, "");
    EXPECT_EQ(token_of_call(401), first);
    EXPECT_NE(token_of_call(200), first);
}

}  // namespace
}  // namespace sluice::source
