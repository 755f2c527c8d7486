// SPDX-License-Identifier: Apache-2.0
// Resumption: with any context that shares the keys, for one rotation, and never into another host or another trust.
#include <thread>

#include "tests/unit/proxy/tls_fixture.h"

namespace sluice::proxy::testing {
namespace {

// Makes one connection by which the client gets a ticket.
void connect_once(const std::shared_ptr<const TlsServerContext>& server,
                  const std::shared_ptr<const TlsClientContext>& client)
{
    Pair pair(server, client);
    ASSERT_TRUE(pair.shake()) << pair.errors();
    ASSERT_TRUE(write(*pair.server, "x"));  // the ticket goes with the first data
    pair.pump();
    ASSERT_EQ(pair.client_received, "x");
}

bool resumes(const std::shared_ptr<const TlsServerContext>& server,
             const std::shared_ptr<const TlsClientContext>& client)
{
    Pair pair(server, client);
    EXPECT_TRUE(pair.shake()) << pair.errors();
    EXPECT_EQ(pair.server->resumed(), pair.client->resumed());
    return pair.server->resumed();
}

struct Case {
    explicit Case(TlsVersion version) : keys(std::make_shared<TlsTicketKeys>())
    {
        options = server_options(issue_for("a.test"));
        options.ticket_keys = keys;
        settings = client_options("a.test");
        settings.max_version = version;
        client = must_make(settings);
    }
    std::shared_ptr<TlsTicketKeys> keys;
    TlsServerOptions options;
    TlsClientOptions settings;
    std::shared_ptr<const TlsClientContext> client;
};

class TlsTickets : public ::testing::TestWithParam<TlsVersion> {};
INSTANTIATE_TEST_SUITE_P(Versions, TlsTickets, ::testing::Values(TlsVersion::Tls12, TlsVersion::Tls13));

TEST_P(TlsTickets, ResumeAlsoWithAnotherContextOfTheSameKeys)
{
    Case c(GetParam());
    connect_once(must_make(c.options), c.client);
    c.options.hosts[0].certificates = {issue_for("a.test")};  // renewed meanwhile
    EXPECT_TRUE(resumes(must_make(c.options), c.client));
}

TEST_P(TlsTickets, OutliveOneRotationAndNotTwo)
{
    for (const int rotations : {0, 1, 2}) {
        Case c(GetParam());
        const auto server = must_make(c.options);
        connect_once(server, c.client);
        for (int i = 0; i < rotations; ++i)
            c.keys->rotate();
        EXPECT_EQ(resumes(server, c.client), rotations < 2) << rotations;
    }
}

TEST_P(TlsTickets, AreNotOpenedByOtherKeys)
{
    Case c(GetParam());
    connect_once(must_make(c.options), c.client);
    c.options.ticket_keys = std::make_shared<TlsTicketKeys>();
    EXPECT_FALSE(resumes(must_make(c.options), c.client));
}

TEST_P(TlsTickets, AreNotMadeWithoutKeys)
{
    Case c(GetParam());
    c.options.ticket_keys = nullptr;
    const auto server = must_make(c.options);
    connect_once(server, c.client);
    EXPECT_FALSE(resumes(server, c.client));
}

TEST_P(TlsTickets, AreGoodForTheirHostOnly)
{
    Case c(GetParam());
    const TlsCertificate both = issue({.dns_names = {"a.test", "b.test"}});
    c.options.hosts = {{"a.test", {both}}, {"b.test", {both}}};
    const auto server = must_make(c.options);
    connect_once(server, c.client);
    // The same client context, whose sessions are a.test's, at the host b.test.
    c.options.hosts = {{"b.test", {both}}, {"", {both}}};
    EXPECT_FALSE(resumes(must_make(c.options), c.client));
}

// Whoever was let in without a certificate, or by another CA, must not come back past the listener that wants one.
TEST_P(TlsTickets, DoNotOutliveWhatIsAskedOfClients)
{
    Case c(GetParam());
    c.settings.certificate = issue({.common_name = "client"});
    c.client = must_make(c.settings);
    c.options.hosts[0].client_auth = TlsClientAuth::Optional;
    c.options.hosts[0].client_ca_pem = authority().pem;
    connect_once(must_make(c.options), c.client);
    c.options.hosts[0].client_auth = TlsClientAuth::Required;
    const auto strict = must_make(c.options);
    EXPECT_FALSE(resumes(strict, c.client));

    connect_once(strict, c.client);
    Pair again(strict, c.client);
    ASSERT_TRUE(again.shake()) << again.errors();
    EXPECT_TRUE(again.server->resumed());
    EXPECT_TRUE(again.server->peer_verified());  // as when the ticket was made
    c.options.hosts[0].client_ca_pem += make_certificate({.common_name = "more", .authority = true}).pem;
    connect_once(strict, c.client);
    EXPECT_FALSE(resumes(must_make(c.options), c.client));
}

TEST_P(TlsTickets, AreIndifferentToWhatAnotherHostAsksOfClients)
{
    Case c(GetParam());
    const TlsCertificate both = issue({.dns_names = {"a.test", "b.test"}});
    c.options.hosts = {{"a.test", {both}}, {"b.test", {both}}};
    connect_once(must_make(c.options), c.client);
    c.options.hosts[1].client_auth = TlsClientAuth::Required;
    c.options.hosts[1].client_ca_pem = authority().pem;
    EXPECT_TRUE(resumes(must_make(c.options), c.client));
}

TEST_P(TlsTickets, KeepWhatWasFoundOfTheClientsCertificate)
{
    const Certificate stranger = make_certificate({.common_name = "stranger", .authority = true});
    const struct {
        const char* name;
        TlsCertificate certificate;
        bool verified;
    } rows[] = {
        {"none", {}, false},
        {"of another CA", issue({.common_name = "client"}, stranger), false},
        {"good", issue({.common_name = "client"}), true},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.name);
        Case c(GetParam());
        c.settings.certificate = row.certificate;
        c.client = must_make(c.settings);
        c.options.hosts[0].client_auth = TlsClientAuth::Unverified;
        c.options.hosts[0].client_ca_pem = authority().pem;
        const auto server = must_make(c.options);
        connect_once(server, c.client);
        Pair again(server, c.client);
        ASSERT_TRUE(again.shake()) << again.errors();
        EXPECT_TRUE(again.server->resumed());
        EXPECT_EQ(again.server->peer_verified(), row.verified);
    }
}

TEST(TlsTicketKeys, RotateWhileManyUseThem)
{
    TlsTicketKeys keys;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&keys] {
            for (int round = 0; round < 2000; ++round) {
                const TlsTicketKey key = keys.current();
                const auto found = keys.find(key.name);
                EXPECT_TRUE(!found || found->encryption == key.encryption);
            }
        });
    }
    for (int i = 0; i < 1000; ++i)
        keys.rotate();
    threads.clear();
    const TlsTicketKey last = keys.current();
    EXPECT_EQ(keys.find(last.name)->authentication, last.authentication);
    EXPECT_FALSE(keys.find(std::array<std::uint8_t, 16>{}));
}

}  // namespace
}  // namespace sluice::proxy::testing
