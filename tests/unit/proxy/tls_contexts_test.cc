// SPDX-License-Identifier: Apache-2.0
// Contexts from plan to plan: kept where all that makes them up is equal, and made anew where a part is not.
#include "agent/proxy/tls_contexts.h"

#include <optional>
#include <set>

#include "tests/unit/proxy/tls_fixture.h"

namespace sluice::proxy::testing {
namespace {

constexpr std::uint64_t kTicketMs = kTlsTicketSeconds * 1000ULL;

plan::HttpListener listener(const std::string& hostname, const TlsCertificate& certificate)
{
    const plan::TlsTermination termination{
        .certificates = {{"default/" + hostname, certificate.chain_pem, certificate.key_pem}}};
    return {.name = "default/g/" + hostname, .hostname = hostname, .tls = termination};
}

void ask(plan::HttpListener& of, plan::ClientAuth auth, const std::string& ca_pem)
{
    plan::TlsTermination asking = *of.tls;
    asking.client_auth = auth;
    asking.client_ca_pem = ca_pem;
    of.tls = asking;
}

TEST(TlsContexts, AreKeptWithTheProblemsOfTheirHosts)
{
    TlsCertificate bad = issue_for("bad.test");
    bad.key_pem = issue_for("other.test").key_pem;
    const plan::HttpPort port{
        .port = 443, .tls = true, .listeners = {listener("a.test", issue_for("a.test")), listener("bad.test", bad)}};
    TlsContexts contexts;
    const auto first = contexts.of(port);
    ASSERT_TRUE(first);
    contexts.sweep(1);
    const auto again = contexts.of(port);
    ASSERT_TRUE(again);
    EXPECT_EQ(*first, *again);
    ASSERT_EQ((*again)->refused().size(), 1U);
    EXPECT_EQ((*again)->refused()[0].hostname, "bad.test");
}

TEST(TlsContexts, AreOtherOnesWhereAHostAsksOtherThingsOfClients)
{
    using enum plan::ClientAuth;
    const std::string ours = authority().pem;
    const std::string theirs = make_certificate({.common_name = "theirs", .authority = true}).pem;
    const struct {
        plan::ClientAuth a;
        std::string ca_of_a;
        plan::ClientAuth b;
        std::string ca_of_b;
    } rows[] = {
        {None, "", None, ""},
        {Required, ours, None, ""},
        {None, "", Required, ours},
        {Optional, ours, None, ""},
        {Required, theirs, None, ""},
        {Required, ours, Required, ours},
        {Required, ours, Required, theirs},
        {Required, theirs, Required, ours},
        {Required, theirs, Required, theirs},
    };
    plan::HttpPort port{
        .port = 443,
        .tls = true,
        .listeners = {listener("a.test", issue_for("a.test")), listener("b.test", issue_for("b.test"))}};
    TlsContexts contexts;
    std::set<TlsContexts::Server> made;
    for (const auto& row : rows) {
        ask(port.listeners[0], row.a, row.ca_of_a);
        ask(port.listeners[1], row.b, row.ca_of_b);
        const auto context = contexts.of(port);
        ASSERT_TRUE(context);
        EXPECT_TRUE(made.insert(*context).second) << made.size();
    }
}

TEST(TlsContexts, OfABackendOfferWhatIsSpokenAndNothingForBytes)
{
    const plan::BackendTls backend{.hostname = "a.test", .ca_pem = authority().pem};
    const struct {
        std::optional<plan::AppProtocol> protocol;
        const char* alpn;
    } rows[] = {{plan::AppProtocol::Http1, "http/1.1"}, {plan::AppProtocol::Http2, "h2"}, {std::nullopt, ""}};
    TlsServerOptions options = server_options(issue_for("a.test"));
    options.alpn = {"h2", "http/1.1"};
    const auto server = must_make(options);
    TlsContexts contexts;
    for (const auto& row : rows) {
        const auto context = contexts.of(backend, row.protocol);
        ASSERT_TRUE(context);
        Pair pair(server, *context);
        ASSERT_TRUE(pair.shake()) << pair.errors();
        EXPECT_EQ(pair.client->alpn(), row.alpn);
    }
}

TEST(TlsContexts, RenewTheTicketKeysWhereNothingIsPublished)
{
    const plan::HttpPort port{.port = 443, .tls = true, .listeners = {listener("a.test", issue_for("a.test"))}};
    const struct {
        std::vector<std::uint64_t> sweeps_ms;
        bool resumed;
    } rows[] = {
        {{1}, true},
        {{1, 1 + kTicketMs}, true},  // the key before still opens
        {{1, kTicketMs, 2 * kTicketMs}, true},
        {{1, 1 + kTicketMs, 1 + 2 * kTicketMs}, false},
    };
    for (const auto& row : rows) {
        TlsContexts contexts;
        const auto server = contexts.of(port);
        ASSERT_TRUE(server);
        const auto client = must_make(client_options("a.test"));
        Pair first(*server, client);
        ASSERT_TRUE(first.shake()) << first.errors();
        ASSERT_TRUE(write(*first.server, "x"));  // the ticket goes with the first data
        first.pump();
        for (const std::uint64_t now_ms : row.sweeps_ms)
            contexts.sweep(now_ms);
        Pair second(*server, client);
        ASSERT_TRUE(second.shake()) << second.errors();
        EXPECT_EQ(second.server->resumed(), row.resumed) << ::testing::PrintToString(row.sweeps_ms);
    }
}

}  // namespace
}  // namespace sluice::proxy::testing
