// SPDX-License-Identifier: Apache-2.0
// One TCP connection and its reads and writes, plain or through TLS. Whoever uses it may change while operations are
// under way (a pooled connection, a tunnel after an upgrade).
#pragma once

#include <memory>
#include <span>

#include "agent/proxy/bound.h"
#include "agent/proxy/tls_session.h"
#include "base/ip_address.h"

namespace sluice::proxy {

// Of a new socket, or of a listening one, whose connections have them from it. What a peer does not read fills no more
// of the kernel's memory than 128 KiB, which would be megabytes otherwise.
void set_tcp_options(int fd);

// Of a socket that is to be connected to a backend: that its node has vanished shows within half a minute, whether
// bytes are on their way to it or it is only silent. A backend that is slow answers the kernel all the same. PING of
// HTTP/2 would not do: gRPC servers end connections on which one comes more often than every five minutes.
void set_backend_options(int fd);

class StreamUser {
public:
    // Connected, with TLS also agreed: 0, or -errno (-EPROTO: TLS failed).
    virtual void on_stream_connected(int result) { static_cast<void>(result); }
    // As Loop::recv completes: bytes, 0 at the end of the stream, or -errno.
    virtual void on_stream_data(int result, Buffer buffer) = 0;
    virtual void on_stream_sent(int result) = 0;

protected:
    ~StreamUser() = default;
};

// Must be destroyed only while quiet, or after the loop has stopped.
class Stream {
public:
    Stream(Loop& loop, UniqueFd fd);  // with set_tcp_options
    ~Stream() { loop_->close(std::move(fd_)); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // A socket that is not connected yet. errno in the error.
    [[nodiscard]] static Result<std::unique_ptr<Stream>> open(Loop& loop, const SocketAddress& to);

    // Everything goes through `session` from now on: before `connect`, or on an accepted connection, of which
    // on_stream_connected tells then. `received`: what came on it already.
    void start_tls(std::unique_ptr<TlsSession> session);
    void accept_tls(std::unique_ptr<TlsSession> session, std::string_view received);
    [[nodiscard]] const TlsSession* tls() const;  // none: plain

    void connect(const SocketAddress& to) { loop_->connect(fd_.get(), to, connect_); }
    void recv(Amount amount = Amount::Usual);
    // One at a time; the bytes must stay until on_stream_sent.
    void send(std::span<const iovec> spans);
    // The same, but true: all of it is sent already, and on_stream_sent is not called.
    [[nodiscard]] bool send_now(std::span<const iovec> spans);
    void shutdown_write();  // after what is being sent
    void reset_on_close();  // the peer sees a reset instead of an end
    // From now on nobody is called; what is under way is cancelled.
    void abandon();

    // After `recv`: on_stream_data is to come of what has arrived already. A ring knows of nothing that it has not
    // reported.
    [[nodiscard]] bool has_news() const { return recv_.is_queued() || plain_.is_queued(); }
    [[nodiscard]] bool receiving() const { return tls_ == nullptr ? recv_.pending() : tls_->wants_data; }
    [[nodiscard]] bool sending() const { return tls_ == nullptr ? send_.pending() : tls_->user_sending; }
    [[nodiscard]] bool quiet() const
    {
        return !recv_.pending() && !send_.pending() && !connect_.pending() && !plain_.pending();
    }
    void set_user(StreamUser* user) { user_ = user; }
    void cancel_connect();  // or the handshake after it

private:
    struct Tls {
        std::unique_ptr<TlsSession> session;
        std::string sending;            // ciphertext on its way
        int user_bytes = 0;             // of the user's send, before encryption
        Amount amount = Amount::Usual;  // that the user wants
        bool handshaking = true;        // on_stream_connected is owed
        bool wants_data = false;        // the user does
        bool is_drained = true;         // the session has no more to read
        bool user_sending = false;
        bool shutdown_due = false;
    };

    void on_connect(int result, Buffer buffer);
    void on_recv(int result, Buffer buffer);
    void on_send(int result, Buffer buffer);
    void on_plain(int result, Buffer buffer);
    void take_ciphertext(std::string_view bytes);
    void deliver_plain();
    void report_received(int result, Buffer buffer);
    void pump();
    void recv_bytes(Amount amount = Amount::Usual);

    Loop* loop_;
    UniqueFd fd_;
    bool is_connect_cancelled_ = false;
    std::unique_ptr<Tls> tls_;
    StreamUser* user_ = nullptr;
    BoundCompletion<Stream> connect_{*this, &Stream::on_connect};
    BoundCompletion<Stream> recv_{*this, &Stream::on_recv};
    BoundCompletion<Stream> send_{*this, &Stream::on_send};
    BoundCompletion<Stream> plain_{*this, &Stream::on_plain};  // decrypted bytes are there already
};

}  // namespace sluice::proxy
