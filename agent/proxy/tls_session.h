// SPDX-License-Identifier: Apache-2.0
// One TLS connection, either side: bytes in, bytes out, no socket and no loop. Belongs to one thread. An established,
// idle session holds no buffers.
//
// The order of a turn: `feed` what came, `read` until it yields 0, send what `take_output` gives.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "agent/proxy/tls_context.h"
#include "base/result.h"

struct bio_st;

namespace sluice::proxy {

// What a session may hold of received bytes; the caller reads before it feeds more.
constexpr std::size_t kTlsPendingMax = 256UL * 1024;
// What a peer may send before the handshake is over.
constexpr std::size_t kTlsHandshakeMax = 128UL * 1024;

class TlsSession {
public:
    [[nodiscard]] static std::unique_ptr<TlsSession> accept(std::shared_ptr<const TlsServerContext> context);
    // The first flight waits in output() at once.
    [[nodiscard]] static std::unique_ptr<TlsSession> connect(std::shared_ptr<const TlsClientContext> context);
    ~TlsSession();
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    // Takes all of it and drives the handshake. Errors are fatal to the connection and say why the handshake failed;
    // an alert for the peer may wait in output().
    [[nodiscard]] Result<void> feed(std::string_view ciphertext);
    // Decrypted bytes into `out`, as many as there are and fit; 0: none now. Errors are fatal.
    [[nodiscard]] Result<std::size_t> read(std::span<char> out);
    // Encrypts all of it into the output. Only once established.
    [[nodiscard]] Result<void> write(std::span<const iovec> spans);
    // Says to the peer that nothing follows. Reading goes on.
    void shutdown();

    [[nodiscard]] std::string_view output() const { return output_; }
    [[nodiscard]] std::string take_output() { return std::exchange(output_, {}); }

    [[nodiscard]] bool established() const { return established_; }
    // The peer's close_notify has been read: what came before it is whole.
    [[nodiscard]] bool ended() const { return ended_; }
    // Of an established session; they live as long as the session does.
    [[nodiscard]] std::string_view alpn() const;         // empty: none
    [[nodiscard]] std::string_view server_name() const;  // of a server's session, as the client sent it; empty: none
    [[nodiscard]] bool peer_verified() const;            // it presented a certificate, and that one is good
    [[nodiscard]] bool resumed() const;
    [[nodiscard]] TlsVersion version() const;

private:
    struct Free {
        void operator()(ssl_st* ssl) const;
    };
    friend struct TlsSessionBio;
    explicit TlsSession(ssl_ctx_st* context);
    [[nodiscard]] Result<void> handshake();
    [[nodiscard]] Result<void> fail_with_reason(const char* op);
    [[nodiscard]] Result<void> write_record(const char* data, std::size_t size);
    void keep_rest();

    std::shared_ptr<const TlsServerContext> server_;
    std::shared_ptr<const TlsClientContext> client_;
    std::unique_ptr<ssl_st, Free> ssl_;
    std::string_view fed_;  // during `feed` only
    std::string pending_;   // received, not taken by the library yet; from pending_taken_ on
    std::size_t pending_taken_ = 0;
    std::string output_;  // to send
    std::size_t handshake_bytes_ = 0;
    std::size_t written_ = 0;  // plaintext, until records are large
    bool established_ = false;
    bool ended_ = false;
    bool failed_ = false;
};

}  // namespace sluice::proxy
