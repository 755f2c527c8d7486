// SPDX-License-Identifier: Apache-2.0
// One HTTP/1 client connection: its requests one after another, each an Exchange. A connection that begins with the
// preface of HTTP/2 is handed on. Idle it holds neither a buffer nor an Exchange.
#pragma once

#include "agent/proxy/http1_body.h"
#include "agent/proxy/stream.h"
#include "agent/proxy/worker.h"

namespace sluice::proxy {

class Http1Connection final : public Connection, public Downstream, private StreamUser, private Flushable {
public:
    Http1Connection(Worker& worker, std::unique_ptr<Stream> stream, const Arrival& from);
    void start();
    void close() override;
    [[nodiscard]] bool quiet() const override { return stream_ == nullptr || stream_->quiet(); }
    void drain(Arrivals arrivals) override;

private:
    enum class Phase : std::uint8_t { Idle, Head, Exchange, Closing };

    void send_interim(const http1::ResponseHead& response) override;
    void send_response(const http1::ResponseHead& head, bool end) override;
    void send_body(Bytes body, bool end) override;
    void send_trailers(std::span<const http1::Header>) override { send_body({}, true); }  // dropped
    void resume_request() override;
    void cut() override;
    void serve_no_more() override { keep_alive_ = false; }
    void become_tunnel(Upstream::Detached backend) override;

    void on_stream_data(int result, Buffer buffer) override;
    void on_stream_sent(int result) override;
    void flush() override;
    void on_timeout();

    void read_head();
    [[nodiscard]] bool is_http2();
    void begin(http1::RequestHead& head, std::size_t head_bytes);
    void start_exchange() { exchange_ = &worker_->take_exchange(); }
    [[nodiscard]] Http1Output& queued();
    void refuse(int status);
    void read_body();
    void watch();
    void begin_head(const http1::ResponseHead& response, const model::HeaderModifier* modifier);
    void finish();
    void end_gently();
    void arm(std::uint32_t ms) { worker_->loop().arm(timer_, ms); }

    Worker* worker_;
    std::unique_ptr<Stream> stream_;
    Arrival from_;
    Exchange* exchange_ = nullptr;  // while a request is under way
    Bytes in_;
    BodyReader body_;
    std::unique_ptr<Http1Output> queued_;   // none: nothing waits for the turn's end
    std::unique_ptr<Http1Output> sending_;  // none: nothing is on its way
    Phase phase_ = Phase::Idle;
    std::uint8_t minor_version_ = 1;
    bool is_head_ = false;
    bool is_first_ = true;      // nothing was served on it yet
    bool is_counted_ = false;   // as a connection of a listener
    bool keep_alive_ = true;    // as far as is known
    bool wants_body_ = false;   // the exchange has room for a piece of the request
    bool is_watching_ = false;  // receives while nothing is due
    bool chunk_out_ = false;
    bool response_ended_ = false;  // all of it is queued
    BoundTimer<Http1Connection> timer_{*this, &Http1Connection::on_timeout};
};

}  // namespace sluice::proxy
