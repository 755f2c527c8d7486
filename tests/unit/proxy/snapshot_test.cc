// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/snapshot.h"

#include <gtest/gtest.h>

#include "tests/unit/proxy/tls_fixture.h"

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
    EXPECT_EQ(snapshot.relay_tls_of(http1), nullptr) << "no host relays to it";
}

TEST(Snapshot, BackendsOfHostsThatEndTlsHaveAContextOfTheirOwnAndThoseOfOthersNone)
{
    const auto certificate = testing::issue_for("a.test");
    const plan::TlsTermination termination{.certificates = {{"default/a", certificate.chain_pem, certificate.key_pem}}};
    const auto over_tls = [](const std::string& name) {
        return plan::Backend{.name = name,
                             .tls = plan::BackendTls{.hostname = name, .ca_pem = testing::authority().pem}};
    };
    const plan::Backend ending = over_tls("ending.test");
    const plan::Backend passing = over_tls("passing.test");
    const auto plan = std::make_shared<plan::Plan>();
    plan->tls.push_back(
        {.port = 443,
         .hosts = {{.listener = "default/g/a", .hostname = "a.test", .termination = termination, .backends = {ending}},
                   {.listener = "default/g/b", .hostname = "b.test", .backends = {passing}}}});
    TlsContexts contexts;
    const Snapshot snapshot(plan, contexts);
    EXPECT_TRUE(snapshot.problems().empty());
    EXPECT_NE(snapshot.relay_tls_of(ending), nullptr);
    EXPECT_EQ(snapshot.tls_of(ending), nullptr) << "nothing speaks HTTP to it";
    EXPECT_EQ(snapshot.relay_tls_of(passing), nullptr);
}

TEST(Snapshot, ProblemsAreThoseOfTheRefusedHostsAndAreToldEveryTime)
{
    const auto good = testing::issue_for("a.test");
    const auto other = testing::issue_for("b.test");
    const auto terminate = [](const std::string& chain_pem, const std::string& key_pem) {
        return plan::TlsTermination{.certificates = {{"default/c", chain_pem, key_pem}}};
    };
    const plan::TlsTermination usable = terminate(good.chain_pem, good.key_pem);
    const plan::TlsTermination unusable = terminate(good.chain_pem, other.key_pem);
    using Names = std::vector<std::string>;
    const struct {
        const char* name;
        plan::TlsTermination a;
        plan::TlsTermination b;
        bool is_served;
        Names problems;
    } rows[] = {
        {"both are good", usable, usable, true, {}},
        {"one is not", usable, unusable, true, {"default/g/b"}},
        {"neither is", unusable, unusable, false, {"default/g/a", "default/g/b"}},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.name);
        const auto plan = std::make_shared<plan::Plan>();
        plan->http.push_back({.port = 443,
                              .tls = true,
                              .listeners = {{.name = "default/g/a", .hostname = "a.test", .tls = row.a},
                                            {.name = "default/g/b", .hostname = "b.test", .tls = row.b}}});
        TlsContexts contexts;
        const Snapshot before(plan, contexts);
        contexts.sweep(1);
        const Snapshot after(plan, contexts);
        for (const Snapshot* each : {&before, &after}) {
            Names names;
            for (const ListenProblem& problem : each->problems())
                names.push_back(problem.listener);
            EXPECT_EQ(names, row.problems);
            const auto& target = each->find({IpAddress{}, 443}, plan::Protocol::Tcp);
            EXPECT_EQ(target.tls != nullptr, row.is_served);
        }
    }
}

}  // namespace
}  // namespace sluice::proxy
