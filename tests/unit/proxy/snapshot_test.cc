// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/snapshot.h"

#include <gtest/gtest.h>

namespace sluice::proxy {
namespace {

TEST(Snapshot, BackendsOfOnePolicyOfferTheirOwnProtocol)
{
    const Shared<plan::BackendTls> tls = plan::BackendTls{.hostname = "backend.test", .system_ca = true};
    const plan::Backend http1{.name = "a", .app_protocol = plan::AppProtocol::Http1, .tls = tls};
    const plan::Backend http2{.name = "b", .app_protocol = plan::AppProtocol::Http2, .tls = tls};
    const auto plan = std::make_shared<plan::Plan>();
    plan->http.push_back({.port = 80, .listeners = {{.name = "default/g/http"}}});
    plan->http[0].listeners[0].rules = {plan::HttpRule{.backends = {http1}}, plan::HttpRule{.backends = {http2}}};
    TlsContexts contexts;
    const Snapshot snapshot(plan, contexts);
    ASSERT_NE(snapshot.tls_of(http1), nullptr);
    ASSERT_NE(snapshot.tls_of(http2), nullptr);
    EXPECT_NE(snapshot.tls_of(http1), snapshot.tls_of(http2));
}

}  // namespace
}  // namespace sluice::proxy
