// SPDX-License-Identifier: Apache-2.0
// Two TLS sessions that speak to each other through memory, and the certificates that most tests need.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/proxy/tls_session.h"
#include "agent/proxy/tls_tickets.h"
#include "tests/harness/certificates.h"

namespace sluice::proxy::testing {

using harness::Certificate;
using harness::CertificateSpec;
using harness::KeyKind;
using harness::make_certificate;

inline const Certificate& authority()
{
    static const Certificate kAuthority = make_certificate({.common_name = "authority", .authority = true});
    return kAuthority;
}

inline TlsCertificate issue(CertificateSpec spec, const Certificate& issuer = authority())
{
    const Certificate made = make_certificate(spec, &issuer);
    return {made.pem, made.key_pem};
}

inline TlsCertificate issue_for(const std::string& name, KeyKind kind = KeyKind::EcdsaP256)
{
    return issue({.common_name = name, .dns_names = {name}, .kind = kind});
}

inline TlsServerOptions server_options(const TlsCertificate& certificate)
{
    TlsServerOptions options;
    options.hosts = {{.hostname = "", .certificates = {certificate}}};
    return options;
}

inline TlsClientOptions client_options(const std::string& name)
{
    TlsClientOptions options;
    options.ca_pem = authority().pem;
    options.server_name = name;
    return options;
}

inline std::shared_ptr<const TlsServerContext> must_make(const TlsServerOptions& options)
{
    auto made = TlsServerContext::make(options);
    EXPECT_TRUE(made) << to_string(made.error());
    return *made;
}

inline std::shared_ptr<const TlsClientContext> must_make(const TlsClientOptions& options)
{
    auto made = TlsClientContext::make(options);
    EXPECT_TRUE(made) << to_string(made.error());
    return *made;
}

inline Result<void> write(TlsSession& session, std::string text)
{
    const iovec span{text.data(), text.size()};
    return session.write(std::span(&span, 1));
}

// Everything that can be read now.
inline Result<std::string> read_all(TlsSession& session)
{
    std::string all;
    std::vector<char> buffer(64UL * 1024);
    while (true) {
        const auto count = session.read(buffer);
        if (!count)
            return std::unexpected(count.error());
        if (*count == 0)
            return all;
        all.append(buffer.data(), *count);
    }
}

struct Pair {
    Pair(std::shared_ptr<const TlsServerContext> server_context, std::shared_ptr<const TlsClientContext> client_context)
        : server(TlsSession::accept(std::move(server_context))), client(TlsSession::connect(std::move(client_context)))
    {
    }

    // Carries what each has to say to the other, `step` bytes at a time, until both are silent or one has failed.
    void pump(std::size_t step = SIZE_MAX)
    {
        while (move(*client, *server, server_error, step) || move(*server, *client, client_error, step)) {
        }
    }
    bool shake(std::size_t step = SIZE_MAX)
    {
        pump(step);
        return server->established() && client->established() && server_error.empty() && client_error.empty();
    }
    [[nodiscard]] std::string errors() const { return "server: " + server_error + " client: " + client_error; }

    std::unique_ptr<TlsSession> server;
    std::unique_ptr<TlsSession> client;
    std::string server_error;
    std::string client_error;
    std::string server_received;
    std::string client_received;

private:
    bool move(TlsSession& from, TlsSession& to, std::string& error, std::size_t step)
    {
        const std::string bytes = from.take_output();
        // To a failed connection they have nowhere to go.
        for (std::size_t at = 0; at < bytes.size() && error.empty(); at += step) {
            if (auto fed = to.feed(std::string_view(bytes).substr(at, step)); !fed) {
                error = to_string(fed.error());
                break;
            }
            auto text = read_all(to);
            if (!text)
                error = to_string(text.error());
            else
                (&to == server.get() ? server_received : client_received) += *text;
        }
        return !bytes.empty();
    }
};

}  // namespace sluice::proxy::testing
