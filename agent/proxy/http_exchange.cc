// SPDX-License-Identifier: Apache-2.0
// The backend's half of HttpConnection: connecting, sending the request, and streaming the response back.
#include <algorithm>
#include <utility>

#include "agent/proxy/balancer.h"
#include "agent/proxy/http_connection.h"
#include "agent/proxy/tunnel.h"

namespace sluice::proxy {
namespace {

constexpr unsigned kConnectAttempts = 3;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// Methods that may be sent twice without harm (RFC 9110 section 9.2.2).
bool is_idempotent(std::string_view method)
{
    return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE" || method == "PUT" ||
           method == "DELETE";
}

}  // namespace

void HttpConnection::connect(bool fresh)
{
    phase_ = Phase::Connecting;
    upstream_in_.clear();
    request_piece_ = {};
    request_broken_ = upstream_ended_ = false;
    upstream_ = worker_->upstreams().acquire(pick_endpoint(*backend_, *worker_, tried_), *this, fresh);
    if (upstream_ == nullptr)
        return answer(503, keep_client_);
    if (upstream_->reused)
        send_request_head();
}

void HttpConnection::on_upstream_connected(int result)
{
    if (result == 0)
        return send_request_head();
    tried_.push_back(upstream_->endpoint);
    drop_upstream();
    if (tried_.size() < kConnectAttempts)
        return connect(true);
    answer(503, keep_client_);
}

void HttpConnection::send_request_head()
{
    phase_ = Phase::Exchange;
    arm(worker_->limits().stream_idle_timeout_ms);
    const iovec span{request_head_.data(), request_head_.size()};
    upstream_->send({&span, 1});
    upstream_->recv();
    if (std::exchange(continue_due_, false) && !request_body_.done() && client_in_.empty()) {
        interim_ = true;
        const iovec line{const_cast<char*>(kContinue.data()), kContinue.size()};
        worker_->loop().send(fd_.get(), {&line, 1}, send_);
    }
}

void HttpConnection::on_upstream_sent(int result)
{
    if (result < 0) {
        request_broken_ = true;  // the receive tells whether there is an answer all the same
        return;
    }
    if (counters_ != nullptr)
        count(counters_->bytes_in, static_cast<std::uint64_t>(result));
    arm(worker_->limits().stream_idle_timeout_ms);
    client_in_.consume(request_piece_.used);
    request_piece_ = {};
    if (tunnel_due_)
        return become_tunnel();
    pump_request();
}

void HttpConnection::pump_request()
{
    if (upstream_ == nullptr || request_ended_ || upstream_->sending() || answering_ || request_broken_)
        return;
    // Bytes that carry no body data (chunk framing) are used up without a send.
    for (;;) {
        if (!request_body_.next(client_in_.view(), request_piece_))
            return response_begun_ ? close() : answer(400, false);
        if (request_piece_.count != 0 || request_piece_.used == 0)
            break;
        client_in_.consume(request_piece_.used);
    }
    if (request_piece_.count != 0) {
        body_started_ = true;
        return upstream_->send({request_piece_.spans, request_piece_.count});
    }
    request_ended_ = request_body_.done();
    if (!request_ended_ && !recv_.pending())
        worker_->loop().recv(fd_.get(), recv_);
}

// The backend went away before a byte of its response: on a pooled connection it may just have been closing it.
void HttpConnection::upstream_failed()
{
    const bool untouched = !response_begun_ && upstream_in_.empty();
    const bool may_repeat = upstream_ != nullptr && upstream_->reused && untouched && !body_started_ &&
                            request_body_.done() && is_idempotent(method_);
    drop_upstream();
    if (may_repeat)
        return connect(true);
    if (response_begun_)
        return close();
    answer(502, keep_client_);
}

void HttpConnection::on_upstream_data(int result, Buffer buffer)
{
    if (result < 0)
        return upstream_failed();
    arm(worker_->limits().stream_idle_timeout_ms);
    if (result == 0) {
        upstream_ended_ = true;
        keep_upstream_ = false;
        return response_begun_ ? pump_response() : upstream_failed();
    }
    upstream_in_.append(std::move(buffer));
    if (response_begun_)
        pump_response();
    else
        read_response_head();
}

void HttpConnection::read_response_head()
{
    const Limits& limits = worker_->limits();
    for (;;) {
        const auto parsed = http1::parse_response(
            upstream_in_.view(), {limits.header_bytes_max, limits.request_line_bytes_max, limits.header_count_max},
            method_, response_);
        if (parsed.status == http1::Status::Incomplete) {
            upstream_in_.keep();
            return upstream_->recv();
        }
        const bool is_switch = response_.status == 101;
        if (parsed.status == http1::Status::Invalid || (is_switch && !wants_upgrade_)) {
            return answer(502, keep_client_);
        }
        if (is_switch || response_.status >= 200)
            return begin_response(parsed.head_bytes);
        upstream_in_.consume(parsed.head_bytes);  // an interim response: we answered Expect ourselves
    }
}

void HttpConnection::begin_response(std::uint32_t head_bytes)
{
    worker_->loop().disarm(request_timer_);
    response_begun_ = true;
    const bool until_close = response_.framing == http1::Framing::UntilClose;
    const bool unknown_length = until_close || response_.framing == http1::Framing::Chunked;
    const bool chunk_out = unknown_length && request_.minor_version >= 1;
    if (unknown_length && !chunk_out)
        keep_client_ = false;  // an HTTP/1.0 client learns the end by the close
    if (!request_body_.done() || worker_->draining())
        keep_client_ = false;
    keep_upstream_ = response_.keep_alive && !until_close;
    write_response_head(chunk_out);
    response_body_.begin(response_.framing, response_.content_length, chunk_out);
    upstream_in_.consume(head_bytes);
    if (counters_ != nullptr)
        count(counters_->responses[std::min(response_.status / 100, 5)]);
    if (response_.status == 101)
        return become_tunnel();
    pump_response();
}

void HttpConnection::pump_response()
{
    if (send_.pending() || upstream_ == nullptr)
        return;
    for (;;) {
        if (!response_body_.next(upstream_in_.view(), response_piece_))
            return close();
        if (response_piece_.count != 0 || response_piece_.used == 0)
            break;
        upstream_in_.consume(response_piece_.used);
    }
    const bool is_out_of_data = response_piece_.count == 0 && !response_body_.done();
    if (is_out_of_data && upstream_ended_ && !response_body_.end_of_input(response_piece_))
        return close();
    send_response_piece();
}

void HttpConnection::send_response_piece()
{
    iovec spans[4];
    std::size_t used = 0;
    if (!response_head_.empty())
        spans[used++] = {response_head_.data(), response_head_.size()};
    for (std::size_t i = 0; i < response_piece_.count; ++i)
        spans[used++] = response_piece_.spans[i];
    if (used != 0)
        return worker_->loop().send(fd_.get(), {spans, used}, send_);
    if (response_body_.done())
        return finish_exchange();
    upstream_->recv();
}

void HttpConnection::finish_exchange()
{
    response_ended_ = true;
    if (keep_upstream_ && request_consumed() && upstream_in_.empty() && !upstream_->sending()) {
        worker_->upstreams().release(*upstream_);
        upstream_ = nullptr;
    } else {
        drop_upstream();
    }
    upstream_in_.clear();
    response_begun_ = false;
    next_request();
}

void HttpConnection::become_tunnel()
{
    if (upstream_->sending()) {
        tunnel_due_ = true;
        return;
    }
    std::string to_client = response_head_;
    to_client += upstream_in_.view();
    std::string to_backend(client_in_.view());
    upstream_in_.clear();
    client_in_.clear();
    response_head_.clear();
    UniqueFd backend = worker_->upstreams().detach(*upstream_);
    upstream_ = nullptr;
    auto tunnel = std::make_unique<Tunnel>(*worker_, std::move(fd_), std::move(backend), std::move(to_client),
                                           std::move(to_backend), *counters_);
    Tunnel& started = *tunnel;
    response_ended_ = true;
    worker_->adopt(std::move(tunnel));
    started.start();
    close();
}

void HttpConnection::drop_upstream()
{
    if (upstream_ == nullptr)
        return;
    if (upstream_->sending())
        ++orphan_sends_;
    worker_->upstreams().discard(*upstream_);
    upstream_ = nullptr;
}

}  // namespace sluice::proxy
