// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 connection to a backend: serves one request after another, idles in the pool between them.
#pragma once

#include "agent/proxy/http1_body.h"
#include "agent/proxy/upstream.h"
#include "agent/proxy/upstream_connection.h"

namespace sluice::proxy {

class Http1Upstream final : public UpstreamConnection, public Upstream, private StreamUser, private Flushable {
public:
    Http1Upstream(Worker& worker, UpstreamPool::Endpoint& endpoint, std::unique_ptr<Stream> stream);
    void connect(const SocketAddress& to);
    void assign(UpstreamUser& user);  // the next request's
    void end() override;
    [[nodiscard]] bool quiet() const override { return stream_ == nullptr || stream_->quiet(); }

    [[nodiscard]] bool ready() const override { return connected_; }
    void send(const ForwardedHead& head, Bytes body, bool end) override;
    void send_body(Bytes body, bool end) override;
    void send_trailers(std::span<const http1::Header>) override { send_body({}, true); }  // dropped
    void resume() override;
    void release() override;
    [[nodiscard]] bool reused() const override { return reused_; }
    [[nodiscard]] Detached detach() override;

private:
    void on_stream_connected(int result) override;
    void on_stream_data(int result, Buffer buffer) override;
    void on_stream_sent(int result) override;
    void flush() override;
    void read_head();
    void pass_head(const http1::ResponseHead& head, std::size_t head_bytes);
    void read_body();
    void deliver(Bytes data);
    void transmit();
    void fail(UpstreamFailure failure);
    void on_timeout();
    [[nodiscard]] bool is_complete() const
    {
        return request_ended_ && output_ == nullptr && response_ended_ && keep_alive_ && in_.empty() && !gone_;
    }

    std::unique_ptr<Stream> stream_;
    UpstreamUser* user_ = nullptr;  // none: idle, or ending
    Bytes in_;
    std::unique_ptr<Http1Output> output_;  // none: nothing waits to be sent, or is on its way
    BodyReader body_;
    bool is_head_ = false;  // the request, for the framing of its response
    bool connected_ = false;
    bool reused_ = false;
    bool chunk_out_ = false;
    bool upgrade_ = false;
    bool request_ended_ = false;  // all of it was given to be sent
    bool begun_ = false;          // a byte of it may be on its way
    bool body_due_ = false;       // the user waits for on_request_taken
    bool head_read_ = false;
    bool response_ended_ = false;
    bool keep_alive_ = true;
    bool paused_ = false;  // the user has a piece of the body and did not ask for more
    bool gone_ = false;    // the backend will send no more
    BoundTimer<Http1Upstream> timer_{*this, &Http1Upstream::on_timeout};  // connecting, or idle
};

}  // namespace sluice::proxy
