// SPDX-License-Identifier: Apache-2.0
// The client's half of HttpConnection: reading requests, routing, and answers of our own.
#include "agent/proxy/http_connection.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "agent/proxy/balancer.h"
#include "agent/proxy/tunnel.h"

namespace sluice::proxy {
namespace {

constexpr std::uint32_t kLingerMs = 1'000;  // for the client to read an answer that it did not wait for

const char* reason_phrase(int status)
{
    switch (status) {
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 408: return "Request Timeout";
    case 414: return "URI Too Long";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Error";
    }
}

}  // namespace

HttpConnection::HttpConnection(Worker& worker, UniqueFd fd, const SocketAddress& local, const SocketAddress& peer)
    : worker_(&worker), fd_(std::move(fd)), local_(local), peer_(peer)
{
    const int on = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void HttpConnection::start()
{
    arm(worker_->limits().header_timeout_ms);  // the first request is due sooner than a later one
    worker_->loop().recv(fd_.get(), recv_);
}

void HttpConnection::drain()
{
    keep_client_ = false;
    if (phase_ == Phase::Idle)
        close();
}

void HttpConnection::on_recv(int result, Buffer buffer)
{
    if (phase_ == Phase::Closing) {
        if (result > 0 && !retired())
            return worker_->loop().recv(fd_.get(), recv_);  // thrown away until the client has seen the end
        return close();
    }
    if (answering_)
        return;  // the request was given up: what is left of it is not read, and the connection ends after the answer
    if (result <= 0)
        return close();
    client_in_.append(std::move(buffer));
    if (phase_ == Phase::Exchange)
        return pump_request();
    if (phase_ == Phase::Connecting)
        return;
    read_head();
}

void HttpConnection::read_head()
{
    const Limits& limits = worker_->limits();
    if (phase_ == Phase::Idle) {
        phase_ = Phase::Head;
        arm(limits.header_timeout_ms);
    }
    const auto parsed = http1::parse_request(
        client_in_.view(), {limits.header_bytes_max, limits.request_line_bytes_max, limits.header_count_max}, request_);
    if (parsed.status == http1::Status::Incomplete) {
        client_in_.keep();
        return worker_->loop().recv(fd_.get(), recv_);
    }
    snapshot_ = worker_->snapshot();
    request_piece_ = {};
    if (parsed.status == http1::Status::Invalid) {
        method_.clear();
        return answer(http1::status_code(parsed.reject), false);
    }
    method_.assign(request_.method);

    keep_client_ = request_.keep_alive && !worker_->draining();
    request_body_.begin(request_.framing, request_.content_length, request_.framing == http1::Framing::Chunked);
    const auto target = snapshot_->find(local_, plan::Protocol::Tcp);
    if (target.http == nullptr)
        return answer(404, false);  // the listener is gone since the connection came
    char canonical[16 * 1024];
    const auto path = request_.path == "*" ? std::optional(request_.path)
                                           : canonical_path(request_.path, {canonical, sizeof canonical});
    if (!path)
        return answer(400, false);
    const auto route = target.http->route({.method = request_.method,
                                           .authority = request_.authority,
                                           .path = *path,
                                           .query = request_.query,
                                           .headers = {request_.headers, request_.header_count}});
    if (route.listener != nullptr) {
        ListenerCounters& counters = worker_->counters().of(route.listener->name);
        if (counters_ == nullptr)
            count(counters.connections);
        counters_ = &counters;
        count(counters.requests);
    }
    if (route.rule == nullptr) {
        client_in_.consume(parsed.head_bytes);
        return answer(404, keep_client_);
    }
    write_request_head(*path);
    continue_due_ = request_.expect_continue;
    client_in_.consume(parsed.head_bytes);
    begin_request(*route.rule);
}

void HttpConnection::begin_request(const plan::HttpRule& rule)
{
    backend_ = pick_backend(rule.backends, *worker_);
    if (backend_ == nullptr || !backend_->valid)
        return answer(500, keep_client_);
    if (backend_->endpoints.empty())
        return answer(503, keep_client_);
    phase_ = Phase::Connecting;
    worker_->loop().disarm(timer_);  // the connect time is watched by the pool
    tried_.clear();
    tunnel_due_ = body_started_ = request_ended_ = response_begun_ = response_ended_ = false;
    const std::uint32_t timeout_ms =
        rule.backend_request_timeout_ms != 0 &&
                (rule.request_timeout_ms == 0 || rule.backend_request_timeout_ms < rule.request_timeout_ms)
            ? rule.backend_request_timeout_ms
            : rule.request_timeout_ms;
    if (timeout_ms != 0)
        worker_->loop().arm(request_timer_, timeout_ms);
    connect(false);
}

void HttpConnection::answer(int status, bool keep)
{
    drop_upstream();
    worker_->loop().disarm(request_timer_);
    keep_client_ = keep && request_consumed() && !worker_->draining();
    if (counters_ != nullptr) {
        count(counters_->responses[status / 100]);
        if (status != 404)
            count(counters_->refused);
    }
    if (send_.pending()) {  // an interim answer is on its way: nothing can follow it safely
        return close();
    }
    const std::string reason = reason_phrase(status);
    const std::string body = method_ == "HEAD" ? "" : reason + "\n";
    response_head_ = "HTTP/1.1 " + std::to_string(status) + " " + reason +
                     "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(reason.size() + 1) + "\r\n" +
                     (keep_client_ ? "" : "Connection: close\r\n") + "\r\n" + body;
    phase_ = Phase::Exchange;
    answering_ = true;
    arm(worker_->limits().stream_idle_timeout_ms);
    const iovec span{response_head_.data(), response_head_.size()};
    worker_->loop().send(fd_.get(), {&span, 1}, send_);
}

void HttpConnection::on_sent(int result, Buffer)
{
    if (phase_ == Phase::Closing)
        return;
    if (result < 0)
        return close();
    if (counters_ != nullptr)
        count(counters_->bytes_out, static_cast<std::uint64_t>(result));
    if (answering_) {
        answering_ = false;
        return next_request();
    }
    arm(worker_->limits().stream_idle_timeout_ms);
    if (interim_) {
        interim_ = false;
    } else {
        response_head_.clear();
        upstream_in_.consume(response_piece_.used);
        response_piece_ = {};
    }
    if (response_begun_)
        pump_response();
}

void HttpConnection::next_request()
{
    snapshot_.reset();
    backend_ = nullptr;
    if (!keep_client_ || !request_consumed() || worker_->draining()) {
        phase_ = Phase::Closing;
        ::shutdown(fd_.get(), SHUT_WR);
        arm(kLingerMs);
        if (!recv_.pending())
            worker_->loop().recv(fd_.get(), recv_);
        return;
    }
    phase_ = Phase::Idle;
    arm(worker_->limits().idle_timeout_ms);
    if (!client_in_.empty())
        return read_head();
    if (!recv_.pending())
        worker_->loop().recv(fd_.get(), recv_);
}

void HttpConnection::on_timeout()
{
    switch (phase_) {
    case Phase::Idle:
    case Phase::Closing: return close();
    case Phase::Head: return client_in_.empty() ? close() : answer(408, false);
    case Phase::Connecting: return;
    case Phase::Exchange: return response_begun_ || answering_ ? close() : answer(504, false);
    }
}

void HttpConnection::on_request_timeout()
{
    if (phase_ != Phase::Connecting && phase_ != Phase::Exchange)
        return;
    if (response_begun_)
        return close();
    answer(504, keep_client_);
}

void HttpConnection::close()
{
    if (retired())
        return;
    if (response_begun_ && !response_ended_ && counters_ != nullptr)
        count(counters_->responses[0]);
    phase_ = Phase::Closing;
    drop_upstream();
    worker_->loop().disarm(timer_);
    worker_->loop().disarm(request_timer_);
    worker_->loop().cancel(recv_);
    worker_->loop().cancel(send_);
    worker_->retire(*this);
}

}  // namespace sluice::proxy
