// SPDX-License-Identifier: Apache-2.0
// What is agreed on in a handshake: version, key, host, protocol; and what settings are refused.
#include <openssl/ssl.h>

#include <array>

#include "tests/unit/proxy/tls_fixture.h"

namespace sluice::proxy::testing {
namespace {

TEST(TlsHandshake, CarriesBytesBothWaysForEveryKeyAndVersion)
{
    for (const KeyKind kind : {KeyKind::EcdsaP256, KeyKind::Rsa2048}) {
        const auto server = must_make(server_options(issue_for("a.test", kind)));
        for (const TlsVersion version : {TlsVersion::Tls12, TlsVersion::Tls13}) {
            SCOPED_TRACE(static_cast<int>(kind) * 10 + static_cast<int>(version));
            TlsClientOptions options = client_options("a.test");
            options.max_version = version;
            Pair pair(server, must_make(options));
            ASSERT_TRUE(pair.shake()) << pair.errors();
            EXPECT_EQ(pair.server->version(), version);
            EXPECT_EQ(pair.client->version(), version);
            EXPECT_TRUE(pair.client->peer_verified());
            EXPECT_FALSE(pair.server->peer_verified());
            EXPECT_FALSE(pair.server->resumed());
            ASSERT_TRUE(write(*pair.client, "ping"));
            ASSERT_TRUE(write(*pair.server, "pong"));
            pair.pump();
            EXPECT_EQ(pair.server_received, "ping");
            EXPECT_EQ(pair.client_received, "pong");
        }
    }
}

TEST(TlsHandshake, BelowTheLeastVersionIsRefused)
{
    TlsServerOptions server = server_options(issue_for("a.test"));
    server.min_version = TlsVersion::Tls13;
    TlsClientOptions client = client_options("a.test");
    client.max_version = TlsVersion::Tls12;
    Pair pair(must_make(server), must_make(client));
    EXPECT_FALSE(pair.shake());
    EXPECT_NE(pair.server_error.find("UNSUPPORTED_PROTOCOL"), std::string::npos) << pair.errors();
    EXPECT_NE(pair.client_error.find("PROTOCOL_VERSION"), std::string::npos) << pair.errors();
}

// Each host's certificate says whose it is; a client accepts one of them only.
TEST(TlsHandshake, ServerNameSelectsExactThenWildcardThenDefault)
{
    const std::vector<std::string> names{"a.example.com", "*.example.com", "*.deep.example.com", ""};
    TlsServerOptions options;
    for (const std::string& name : names)
        options.hosts.push_back({name, {issue({.uris = {"host:" + name}})}});
    const auto server = must_make(options);
    const struct {
        const char* sni;
        const char* host;
    } rows[] = {
        {"a.example.com", "a.example.com"},
        {"A.Example.COM", "a.example.com"},
        {"b.example.com", "*.example.com"},
        {"x.y.example.com", "*.example.com"},
        {"b.a.example.com", "*.example.com"},
        {"z.deep.example.com", "*.deep.example.com"},
        {"deep.example.com", "*.example.com"},
        {"example.com", ""},
        {"aexample.com", ""},
        {"example.com.other", ""},
        {"192.0.2.1", ""},  // no name is sent for an address
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.sni);
        for (const std::string& name : names) {
            TlsClientOptions client = client_options(row.sni);
            client.accepted_uris = {"host:" + name};
            Pair pair(server, must_make(client));
            EXPECT_EQ(pair.shake(), name == row.host) << name << " " << pair.errors();
        }
    }
}

TEST(TlsHandshake, TheServerNameOfTheClientIsKept)
{
    const auto server = must_make(server_options(issue_for("a.test")));
    Pair named(server, must_make(client_options("a.test")));
    ASSERT_TRUE(named.shake()) << named.errors();
    EXPECT_EQ(named.server->server_name(), "a.test");

    TlsClientOptions unnamed_options = client_options("192.0.2.1");
    unnamed_options.accepted_names = {"a.test"};
    Pair unnamed(server, must_make(unnamed_options));
    ASSERT_TRUE(unnamed.shake()) << unnamed.errors();
    EXPECT_EQ(unnamed.server->server_name(), "");
}

TEST(TlsHandshake, AnUnknownServerNameWithoutADefaultGetsAnAlert)
{
    TlsServerOptions options;
    options.hosts = {{"a.test", {issue_for("a.test")}}};
    const auto server = must_make(options);
    for (const char* sni : {"b.test", "192.0.2.1"}) {
        Pair pair(server, must_make(client_options(sni)));
        EXPECT_FALSE(pair.shake());
        EXPECT_NE(pair.client_error.find("UNRECOGNIZED_NAME"), std::string::npos) << pair.errors();
    }
}

TEST(TlsHandshake, EcdsaAndRsaOfOneHostAreBothServed)
{
    TlsServerOptions options;
    options.hosts = {{"", {issue_for("rsa.test", KeyKind::Rsa2048), issue_for("ecdsa.test")}}};
    const auto server = must_make(options);
    // A client that takes either is given ECDSA, which costs least.
    Pair either(server, must_make(client_options("ecdsa.test")));
    EXPECT_TRUE(either.shake()) << either.errors();
    const auto rsa_only = must_make(client_options("rsa.test"));
    constexpr std::array<std::uint16_t, 1> kRsa{SSL_SIGN_RSA_PSS_RSAE_SHA256};
    ASSERT_EQ(SSL_CTX_set_verify_algorithm_prefs(rsa_only->native(), kRsa.data(), kRsa.size()), 1);
    Pair rsa(server, rsa_only);
    EXPECT_TRUE(rsa.shake()) << rsa.errors();
}

TEST(TlsHandshake, ProtocolIsTheServersFirstChoice)
{
    using Names = std::vector<std::string>;
    const struct {
        Names server;
        Names client;
        std::string chosen;
        bool established;
    } rows[] = {
        {{"h2", "http/1.1"}, {"http/1.1", "h2"}, "h2", true},
        {{"h2", "http/1.1"}, {"http/1.1"}, "http/1.1", true},
        {{"h2"}, {}, "", true},
        {{}, {"h2"}, "", true},
        {{"h2"}, {"http/1.1"}, "", false},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(::testing::PrintToString(row.server) + ::testing::PrintToString(row.client));
        TlsServerOptions server = server_options(issue_for("a.test"));
        server.alpn = row.server;
        TlsClientOptions client = client_options("a.test");
        client.alpn = row.client;
        Pair pair(must_make(server), must_make(client));
        EXPECT_EQ(pair.shake(), row.established) << pair.errors();
        if (!row.established)
            continue;
        EXPECT_EQ(pair.server->alpn(), row.chosen);
        EXPECT_EQ(pair.client->alpn(), row.chosen);
    }
}

TEST(TlsServerSettings, AreRefusedWithTheReason)
{
    const TlsCertificate good = issue_for("a.test");
    const TlsCertificate other = issue_for("b.test");
    const struct {
        const char* name;
        std::vector<TlsServerOptions::Host> hosts;
        const char* reason;
    } rows[] = {
        {"no PEM", {{"h.test", {{"nothing", good.key_pem}}}}, "h.test: no PEM certificate"},
        {"cut PEM", {{"h.test", {{good.chain_pem.substr(0, 100), good.key_pem}}}}, "h.test: "},
        {"no key", {{"h.test", {{good.chain_pem, ""}}}}, "h.test: not an unencrypted PEM key"},
        {"a key of another", {{"h.test", {{good.chain_pem, other.key_pem}}}}, "h.test: is not the certificate's"},
        {"weak", {{"h.test", {issue_for("h.test", KeyKind::Rsa1024)}}}, "h.test: RSA of fewer than 2048 bits"},
        {"none", {{"h.test", {}}}, "h.test: no certificate"},
        {"no CA", {{"h.test", {good}, TlsClientAuth::Required}}, "no CA is given"},
        {"no CA in it", {{"h.test", {good}, TlsClientAuth::Required, "nothing"}}, "client CA: no PEM certificate"},
        {"twice", {{"h.test", {good}}, {"H.test", {good}}}, "h.test: stands there twice"},
        {"two defaults", {{"", {good}}, {"", {good}}}, "any host: stands there twice"},
    };
    for (const auto& row : rows) {
        TlsServerOptions options;
        options.hosts = row.hosts;
        const auto made = must_make(options);
        EXPECT_FALSE(made->serves()) << row.name;
        ASSERT_EQ(made->refused().size(), 1U) << row.name;
        EXPECT_EQ(made->refused()[0].hostname, row.hosts[0].hostname);
        const std::string reason = to_string(made->refused()[0].error);
        EXPECT_NE(reason.find(row.reason), std::string::npos) << reason;
    }
    TlsServerOptions bad_alpn = server_options(good);
    bad_alpn.alpn = {""};
    EXPECT_FALSE(TlsServerContext::make(bad_alpn));
}

// Its name is neither the wildcard's nor the default's: those may ask less of clients, and have another's certificate.
TEST(TlsServerSettings, ThatCannotBeUsedRefuseTheirHostAlone)
{
    const TlsCertificate good = issue({.dns_names = {"any.test", "*.example.com", "x.deep.example.com"}});
    const TlsCertificate bad{good.chain_pem, issue_for("other").key_pem};
    TlsServerOptions options;
    options.hosts = {{"", {good}},
                     {"*.example.com", {good}},
                     {"BAD.example.com", {bad}},
                     {"trust.example.com", {good}, TlsClientAuth::Required, "nothing"},
                     {"*.deep.example.com", {bad}}};
    const auto server = must_make(options);
    EXPECT_TRUE(server->serves());
    std::vector<std::string> refused;
    for (const auto& host : server->refused())
        refused.push_back(host.hostname);
    EXPECT_EQ(refused, (std::vector<std::string>{"bad.example.com", "trust.example.com", "*.deep.example.com"}));
    const struct {
        const char* sni;
        bool served;
    } rows[] = {
        {"any.test", true},         {"a.example.com", true},      {"bad.example.com", false},
        {"Bad.Example.com", false}, {"trust.example.com", false}, {"x.deep.example.com", false},
    };
    for (const auto& row : rows) {
        Pair pair(server, must_make(client_options(row.sni)));
        EXPECT_EQ(pair.shake(), row.served) << row.sni << " " << pair.errors();
        const bool is_alerted = pair.client_error.find("UNRECOGNIZED_NAME") != std::string::npos;
        EXPECT_EQ(is_alerted, !row.served) << pair.errors();
    }
}

TEST(TlsServerSettings, WhatStillServesIsAWarning)
{
    TlsServerOptions options;
    const TlsCertificate expired = issue({.dns_names = {"old.test"}, .valid_from_s = -7200, .valid_until_s = -3600});
    const TlsCertificate early = issue({.dns_names = {"new.test"}, .valid_from_s = 3600});
    options.hosts = {{"old.test", {expired}}, {"new.test", {early}}, {"a.test", {issue_for("a.test"), expired}}};
    const auto server = must_make(options);
    ASSERT_EQ(server->warnings().size(), 3U);
    EXPECT_NE(server->warnings()[0].find("old.test: the certificate has expired"), std::string::npos);
    EXPECT_NE(server->warnings()[1].find("new.test: the certificate is not valid yet"), std::string::npos);
    EXPECT_NE(server->warnings()[2].find("a.test: a second certificate"), std::string::npos);
    EXPECT_TRUE(must_make(server_options(issue_for("a.test")))->warnings().empty());
}

}  // namespace
}  // namespace sluice::proxy::testing
