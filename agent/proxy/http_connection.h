// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 client connection and the request it has under way: head -> route -> backend -> response, one after
// another. Bodies are streamed with back-pressure: a side is read only when what was read is sent on.
#pragma once

#include <string>
#include <vector>

#include "agent/proxy/http1.h"
#include "agent/proxy/input.h"
#include "agent/proxy/upstream_pool.h"
#include "agent/proxy/worker.h"

namespace sluice::proxy {

// A message body on its way through: takes it off the input by its framing, and frames it anew.
class BodyPipe {
public:
    void begin(http1::Framing in, std::uint64_t length, bool chunk_out);
    // Fills `spans` with the next piece of `data`, framed for the other side. The pieces point into `data` and into
    // this object. `used`: bytes of `data` the piece stands for. False: the body is malformed.
    struct Piece {
        iovec spans[3];
        std::size_t count = 0;
        std::size_t used = 0;
    };
    [[nodiscard]] bool next(std::string_view data, Piece& piece);
    // The other side ended the stream. False: that was too early.
    [[nodiscard]] bool end_of_input(Piece& piece);
    [[nodiscard]] bool done() const { return done_; }

private:
    void frame(std::string_view data, Piece& piece);
    http1::Framing in_ = http1::Framing::None;
    bool chunk_out_ = false;
    bool done_ = true;
    std::uint64_t left_ = 0;
    http1::ChunkedDecoder decoder_;
    char size_line_[24] = {};
};

class HttpConnection final : public Connection, public UpstreamUser {
public:
    HttpConnection(Worker& worker, UniqueFd fd, const SocketAddress& local, const SocketAddress& peer);
    ~HttpConnection() override { worker_->loop().close(std::move(fd_)); }
    void start();
    void close() override;
    [[nodiscard]] bool quiet() const override
    {
        const bool is_sending = upstream_ != nullptr && upstream_->sending();
        return !recv_.pending() && !send_.pending() && orphan_sends_ == 0 && !is_sending;
    }
    void drain() override;

private:
    enum class Phase : std::uint8_t { Idle, Head, Connecting, Exchange, Closing };

    void on_recv(int result, Buffer buffer);
    void on_sent(int result, Buffer buffer);
    void on_timeout();
    void on_request_timeout();
    void on_upstream_connected(int result) override;
    void on_upstream_data(int result, Buffer buffer) override;
    void on_upstream_sent(int result) override;
    void on_orphan_sent() override { --orphan_sends_; }

    // Every byte of the request was taken off `client_in_`, and nothing still points into it: what follows there is the
    // next request. Only then may the connection be kept.
    [[nodiscard]] bool request_consumed() const
    {
        return request_body_.done() && request_piece_.used == 0 && orphan_sends_ == 0 && !recv_.pending();
    }

    void read_head();
    void begin_request(const plan::HttpRule& rule);
    void write_request_head(std::string_view canonical);
    void connect(bool fresh);
    void send_request_head();
    void upstream_failed();
    void pump_request();
    void read_response_head();
    void begin_response(std::uint32_t head_bytes);
    void write_response_head(bool chunk_out);
    void pump_response();
    void send_response_piece();
    void finish_exchange();
    void become_tunnel();
    void answer(int status, bool keep);  // our own response; kept only when the request is consumed, too
    void drop_upstream();
    void next_request();
    void arm(std::uint32_t ms) { worker_->loop().arm(timer_, ms); }

    Worker* worker_;
    UniqueFd fd_;
    SocketAddress local_;
    SocketAddress peer_;
    SnapshotPtr snapshot_;                  // of the request under way
    ListenerCounters* counters_ = nullptr;  // of its listener; none before the first route
    Upstream* upstream_ = nullptr;
    const plan::Backend* backend_ = nullptr;

    Phase phase_ = Phase::Idle;
    Input client_in_;
    Input upstream_in_;
    http1::RequestHead request_{};
    http1::ResponseHead response_{};
    BodyPipe request_body_;
    BodyPipe response_body_;
    BodyPipe::Piece request_piece_;
    BodyPipe::Piece response_piece_;
    std::string request_head_;   // as sent to the backend; kept for a retry
    std::string response_head_;  // as sent to the client, or our own whole answer
    std::string method_;
    std::vector<SocketAddress> tried_;  // endpoints that did not answer this request
    unsigned orphan_sends_ = 0;         // sends of discarded upstreams that still point at our bytes
    bool request_ended_ = false;        // the backend has all of it
    bool body_started_ = false;         // bytes of the body were sent: no retry any more
    bool response_begun_ = false;       // bytes of the head went to the client
    bool response_ended_ = false;
    bool keep_client_ = true;
    bool keep_upstream_ = true;
    bool answering_ = false;       // an answer of our own is being sent
    bool continue_due_ = false;    // the client waits for a 100 before it sends its body
    bool request_broken_ = false;  // the backend takes no more of the request; its answer may be there
    bool upstream_ended_ = false;  // it has sent all that it will
    bool tunnel_due_ = false;      // a 101 came before the request's send was reported
    bool interim_ = false;         // a 100 is being sent
    bool wants_upgrade_ = false;

    BoundCompletion<HttpConnection> recv_{*this, &HttpConnection::on_recv};
    BoundCompletion<HttpConnection> send_{*this, &HttpConnection::on_sent};
    BoundTimer<HttpConnection> timer_{*this, &HttpConnection::on_timeout};
    BoundTimer<HttpConnection> request_timer_{*this, &HttpConnection::on_request_timeout};
};

}  // namespace sluice::proxy
