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

}  // namespace
}  // namespace sluice::source
