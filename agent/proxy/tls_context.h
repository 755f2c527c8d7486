// SPDX-License-Identifier: Apache-2.0
// TLS settings: what a listener's port presents to clients, and how a backend is spoken to. Contexts are immutable,
// shared by all workers and swapped as a whole; sessions keep the one that they began with. TLS 1.2 and 1.3, AEAD
// suites only, X25519 and P-256, no renegotiation, no early data.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;
struct x509_store_st;

namespace sluice::proxy {

class TlsTicketKeys;

enum class TlsVersion : std::uint8_t { Tls12, Tls13 };

struct TlsCertificate {
    std::string chain_pem;  // the leaf first
    std::string key_pem;    // RSA (2048 bits or more) or ECDSA
};

// What a host asks of its clients. A presented certificate that does not verify ends the handshake, but with
// Unverified, where the request goes on without it (`peer_verified()` tells).
enum class TlsClientAuth : std::uint8_t { None, Optional, Required, Unverified };

struct TlsServerOptions {
    struct Host {
        std::string hostname;  // "a.example.com", "*.example.com" (one or more labels), "" for every other name
        std::vector<TlsCertificate> certificates;  // one of a kind is used: an ECDSA and an RSA one
        TlsClientAuth client_auth = TlsClientAuth::None;
        std::string client_ca_pem;  // for every client_auth but None
    };
    std::vector<Host> hosts;
    std::vector<std::string> alpn;  // in order of preference; empty: not negotiated
    TlsVersion min_version = TlsVersion::Tls12;
    std::shared_ptr<const TlsTicketKeys> ticket_keys;  // none: no resumption
};

class TlsServerContext {
public:
    // A host that cannot be served as it is asked for: its names are refused (unrecognized_name), also where a wildcard
    // or the default of the same context would have them.
    struct RefusedHost {
        std::string hostname;  // in lower case
        Error error;           // what is wrong with its certificates, or with what is asked of clients
    };
    // Errors: a bad ALPN name. Those of a host are in `refused`.
    [[nodiscard]] static Result<std::shared_ptr<const TlsServerContext>> make(const TlsServerOptions& options);
    ~TlsServerContext();
    TlsServerContext(const TlsServerContext&) = delete;
    TlsServerContext& operator=(const TlsServerContext&) = delete;

    [[nodiscard]] const std::vector<RefusedHost>& refused() const { return refused_; }
    [[nodiscard]] bool serves() const;  // one host at least
    // What an operator should know but does not stop serving: expired certificates, ignored ones.
    [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
    [[nodiscard]] ssl_ctx_st* native() const { return base_.get(); }

private:
    struct Free {
        void operator()(ssl_ctx_st* context) const;
    };
    using Owned = std::unique_ptr<ssl_ctx_st, Free>;
    friend struct TlsServerCallbacks;
    TlsServerContext() = default;
    [[nodiscard]] Owned make_context(const TlsServerOptions& options);
    [[nodiscard]] Result<Owned> make_host(const TlsServerOptions& options, const TlsServerOptions::Host& host,
                                          x509_store_st* client_ca);
    void add_host(const TlsServerOptions::Host& host, Result<Owned> made);
    [[nodiscard]] ssl_ctx_st* find_host(std::string_view server_name) const;

    Owned base_;  // sessions begin with it; it has no certificate and asks for none
    // Null: the name is refused.
    std::unordered_map<std::string, Owned> exact_;
    std::unordered_map<std::string, Owned> by_suffix_;  // ".example.com"; "" is every name
    std::string alpn_wire_;
    std::shared_ptr<const TlsTicketKeys> ticket_keys_;
    std::vector<RefusedHost> refused_;
    std::vector<std::string> warnings_;
};

struct TlsClientOptions {
    std::string ca_pem;       // trust anchors; empty: the system's
    std::string server_name;  // sent as SNI when it is not an IP address
    // Names of which the certificate must have one; both empty: server_name.
    std::vector<std::string> accepted_names;  // DNS names, also "*.example.com" as it stands in a certificate
    std::vector<std::string> accepted_uris;
    TlsCertificate certificate;  // for the client; empty: none
    std::vector<std::string> alpn;
    TlsVersion min_version = TlsVersion::Tls12;
    TlsVersion max_version = TlsVersion::Tls13;
};

class TlsClientContext {
public:
    [[nodiscard]] static Result<std::shared_ptr<const TlsClientContext>> make(const TlsClientOptions& options);
    ~TlsClientContext();
    TlsClientContext(const TlsClientContext&) = delete;
    TlsClientContext& operator=(const TlsClientContext&) = delete;

    [[nodiscard]] ssl_ctx_st* native() const { return context_; }
    // Gives a new connection its server's name, and a session to resume when there is one. Safe from any thread.
    void prepare(ssl_st* ssl) const;

private:
    friend struct TlsClientCallbacks;
    TlsClientContext() = default;

    ssl_ctx_st* context_ = nullptr;
    TlsClientOptions options_;
    mutable std::mutex mutex_;
    mutable std::vector<ssl_session_st*> sessions_;  // the newest last, few
};

}  // namespace sluice::proxy
