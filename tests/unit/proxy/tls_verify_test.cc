// SPDX-License-Identifier: Apache-2.0
// Who is believed: backends by their CA and names, clients by the listener's CA.
#include <algorithm>

#include "tests/unit/proxy/tls_fixture.h"

namespace sluice::proxy::testing {
namespace {

const Certificate& stranger()
{
    static const Certificate kStranger = make_certificate({.common_name = "stranger", .authority = true});
    return kStranger;
}

TEST(TlsVerify, ABackendMustHaveAnAcceptedName)
{
    const struct {
        const char* name;
        CertificateSpec certificate;
        const char* server_name;
        std::vector<std::string> names;
        std::vector<std::string> uris;
        bool accepted;
    } rows[] = {
        {"its name", {.dns_names = {"a.test"}}, "a.test", {}, {}, true},
        {"in capitals", {.dns_names = {"A.TEST"}}, "a.test", {}, {}, true},
        {"another name", {.dns_names = {"b.test"}}, "a.test", {}, {}, false},
        {"by wildcard", {.dns_names = {"*.b.test"}}, "a.b.test", {}, {}, true},
        {"a wildcard is one label", {.dns_names = {"*.b.test"}}, "x.a.b.test", {}, {}, false},
        {"common name only", {.common_name = "a.test"}, "a.test", {}, {}, false},
        {"accepted instead", {.dns_names = {"b.test"}}, "a.test", {"b.test"}, {}, true},
        {"then the server name is not", {.dns_names = {"a.test"}}, "a.test", {"b.test"}, {}, false},
        {"one of several", {.dns_names = {"c.test"}}, "a.test", {"b.test", "c.test"}, {}, true},
        {"a wildcard as such", {.dns_names = {"*.b.test"}}, "a.test", {"*.b.test"}, {}, true},
        {"no name by an accepted wildcard", {.dns_names = {"x.b.test"}}, "a.test", {"*.b.test"}, {}, false},
        {"by URI", {.uris = {"spiffe://x/y"}}, "a.test", {}, {"spiffe://x/y"}, true},
        {"another URI", {.uris = {"spiffe://x/z"}}, "a.test", {}, {"spiffe://x/y"}, false},
        {"an URI is no name", {.dns_names = {"spiffe://x/y"}}, "a.test", {}, {"spiffe://x/y"}, false},
        {"by address", {.ip_addresses = {"192.0.2.1"}}, "192.0.2.1", {}, {}, true},
        {"another address", {.ip_addresses = {"192.0.2.2"}}, "192.0.2.1", {}, {}, false},
        {"expired", {.dns_names = {"a.test"}, .valid_from_s = -7200, .valid_until_s = -3600}, "a.test", {}, {}, false},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.name);
        TlsClientOptions options = client_options(row.server_name);
        options.accepted_names = row.names;
        options.accepted_uris = row.uris;
        Pair pair(must_make(server_options(issue(row.certificate))), must_make(options));
        EXPECT_EQ(pair.shake(), row.accepted) << pair.errors();
        const bool refused = pair.client_error.find("CERTIFICATE_VERIFY_FAILED") != std::string::npos;
        EXPECT_EQ(refused, !row.accepted) << pair.errors();
    }
}

TEST(TlsVerify, ABackendOfAnotherCaIsRefused)
{
    const auto server = must_make(server_options(issue({.dns_names = {"a.test"}}, stranger())));
    Pair pair(server, must_make(client_options("a.test")));
    EXPECT_FALSE(pair.shake());
    EXPECT_FALSE(pair.client->peer_verified());
    EXPECT_NE(pair.client_error.find("unable to get local issuer"), std::string::npos) << pair.errors();

    TlsClientOptions both = client_options("a.test");
    both.ca_pem += stranger().pem + authority().pem;
    Pair trusted(server, must_make(both));
    EXPECT_TRUE(trusted.shake()) << trusted.errors();
}

TEST(TlsVerify, AChainIsSentWithItsIntermediate)
{
    const Certificate intermediate = make_certificate({.common_name = "between", .authority = true}, &authority());
    TlsCertificate leaf = issue({.dns_names = {"a.test"}}, intermediate);
    Pair without(must_make(server_options(leaf)), must_make(client_options("a.test")));
    EXPECT_FALSE(without.shake());
    leaf.chain_pem += intermediate.pem;
    Pair with(must_make(server_options(leaf)), must_make(client_options("a.test")));
    EXPECT_TRUE(with.shake()) << with.errors();
}

TEST(TlsVerify, ATrustedLeafNeedsNoAuthority)
{
    const Certificate own = make_certificate({.common_name = "own", .dns_names = {"a.test"}});
    TlsClientOptions options = client_options("a.test");
    options.ca_pem = own.pem;
    Pair pair(must_make(server_options({own.pem, own.key_pem})), must_make(options));
    EXPECT_TRUE(pair.shake()) << pair.errors();
}

enum class Shows { Nothing, Good, Stranger, Expired };

TlsCertificate client_certificate(Shows shows)
{
    switch (shows) {
    case Shows::Nothing: return {};
    case Shows::Good: return issue({.common_name = "client"});
    case Shows::Stranger: return issue({.common_name = "client"}, stranger());
    case Shows::Expired: return issue({.common_name = "client", .valid_from_s = -7200, .valid_until_s = -3600});
    }
    return {};
}

TEST(TlsVerify, ClientsAreAskedAsTheListenerSays)
{
    using enum TlsClientAuth;
    const struct {
        TlsClientAuth auth;
        Shows shows;
        bool accepted;
        bool verified;
    } rows[] = {
        {None, Shows::Good, true, false},          {Optional, Shows::Nothing, true, false},
        {Optional, Shows::Good, true, true},       {Optional, Shows::Stranger, false, false},
        {Optional, Shows::Expired, false, false},  {Required, Shows::Nothing, false, false},
        {Required, Shows::Good, true, true},       {Required, Shows::Stranger, false, false},
        {Required, Shows::Expired, false, false},  {Unverified, Shows::Nothing, true, false},
        {Unverified, Shows::Good, true, true},     {Unverified, Shows::Stranger, true, false},
        {Unverified, Shows::Expired, true, false},
    };
    const TlsCertificate certificate = issue_for("a.test");
    for (const auto& row : rows) {
        for (const TlsVersion version : {TlsVersion::Tls12, TlsVersion::Tls13}) {
            SCOPED_TRACE(::testing::PrintToString(row.auth) + " " + ::testing::PrintToString(row.shows) + " " +
                         std::to_string(static_cast<int>(version)));
            TlsServerOptions server = server_options(certificate);
            server.hosts[0].client_auth = row.auth;
            server.hosts[0].client_ca_pem = row.auth == None ? "" : authority().pem;
            TlsClientOptions client = client_options("a.test");
            client.certificate = client_certificate(row.shows);
            client.max_version = version;
            Pair pair(must_make(server), must_make(client));
            pair.pump();
            EXPECT_EQ(pair.server->established() && pair.server_error.empty(), row.accepted) << pair.errors();
            EXPECT_EQ(pair.server->peer_verified(), row.verified);
            EXPECT_EQ(pair.client_error.empty(), row.accepted) << pair.errors();
        }
    }
}

// Also where the hosts are of different owners: none loosens or tightens what another asks.
TEST(TlsVerify, EachHostAsksItsOwnOfClients)
{
    using enum TlsClientAuth;
    const TlsCertificate certificate =
        issue({.dns_names = {"ours.test", "theirs.test", "open.test", "lenient.test", "any.test"}});
    std::vector<TlsServerOptions::Host> hosts{
        {"ours.test", {certificate}, Required, authority().pem},  // the same CA as below: one store for both
        {"theirs.test", {certificate}, Required, stranger().pem},     {"open.test", {certificate}, None, ""},
        {"lenient.test", {certificate}, Unverified, authority().pem}, {"", {certificate}, Optional, authority().pem},
    };
    const struct {
        const char* host;
        Shows shows;
        bool accepted;
        bool verified;
    } rows[] = {
        {"ours.test", Shows::Nothing, false, false},   {"ours.test", Shows::Good, true, true},
        {"ours.test", Shows::Stranger, false, false},  {"theirs.test", Shows::Nothing, false, false},
        {"theirs.test", Shows::Good, false, false},    {"theirs.test", Shows::Stranger, true, true},
        {"open.test", Shows::Nothing, true, false},    {"open.test", Shows::Stranger, true, false},
        {"lenient.test", Shows::Nothing, true, false}, {"lenient.test", Shows::Stranger, true, false},
        {"lenient.test", Shows::Good, true, true},     {"any.test", Shows::Nothing, true, false},
        {"any.test", Shows::Stranger, false, false},   {"any.test", Shows::Good, true, true},
    };
    for (const char* order : {"as above", "the other way round"}) {
        TlsServerOptions options;
        options.hosts = hosts;
        const auto server = must_make(options);
        ASSERT_TRUE(server->refused().empty());
        for (const auto& row : rows) {
            for (const TlsVersion version : {TlsVersion::Tls12, TlsVersion::Tls13}) {
                SCOPED_TRACE(std::string(order) + " " + row.host + " " + ::testing::PrintToString(row.shows) + " " +
                             std::to_string(static_cast<int>(version)));
                TlsClientOptions client = client_options(row.host);
                client.certificate = client_certificate(row.shows);
                client.max_version = version;
                Pair pair(server, must_make(client));
                pair.pump();
                EXPECT_EQ(pair.server->established() && pair.server_error.empty(), row.accepted) << pair.errors();
                EXPECT_EQ(pair.server->peer_verified(), row.verified);
            }
        }
        std::ranges::reverse(hosts);
    }
}

TEST(TlsVerify, ClientSettingsAreRefusedWithTheReason)
{
    const auto reason = [](const TlsClientOptions& options) {
        const auto made = TlsClientContext::make(options);
        return made ? std::string("accepted") : to_string(made.error());
    };
    TlsClientOptions options = client_options("a.test");
    EXPECT_EQ(reason(options), "accepted");
    options.ca_pem = "nothing";
    EXPECT_NE(reason(options).find("CA of a.test: no PEM certificate"), std::string::npos);
    EXPECT_NE(reason(client_options("")).find("server name"), std::string::npos);
    options = client_options("a.test");
    options.certificate = {issue_for("c").chain_pem, issue_for("d").key_pem};
    EXPECT_NE(reason(options).find("client certificate for a.test: is not the certificate's"), std::string::npos);
}

}  // namespace
}  // namespace sluice::proxy::testing
