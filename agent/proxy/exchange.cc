// SPDX-License-Identifier: Apache-2.0
// The life of an exchange: routing, the response, timeouts. The head it forwards is in forwarded_head.cc.
#include "agent/proxy/exchange.h"

#include <algorithm>
#include <utility>

#include "agent/proxy/balancer.h"
#include "agent/proxy/forwarded_head.h"
#include "agent/proxy/grpc.h"
#include "agent/proxy/worker.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kHeadKept = 4 * 1024;      // of memory for the next one's
constexpr std::size_t kKeptBytesMax = 8U << 20;  // of larger ones, of all exchanges of a worker

// The shorter of two limits of which 0 is none.
std::uint32_t shorter(std::uint32_t a, std::uint32_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

}  // namespace

Exchange::Exchange(Worker& worker, std::size_t place) : worker_(&worker), place_(place) {}

void Exchange::reset()
{
    client_ = nullptr;
    upstream_ = nullptr;
    // Kept for the next request, which would count the same references again: of all workers, so that it costs.
    if (snapshot_ != worker_->snapshot())
        forget_snapshot();
    counters_ = nullptr;
    backend_ = nullptr;
    response_modifier_ = nullptr;
    deadline_ms_ = 0;
    target_ = {};
    tried_.clear();
    forget_head();
    body_.clear();
    trailers_.clear();
    interim_bytes_ = 0;
    has_body_ = request_ended_ = upstream_ready_ = upstream_busy_ = head_sent_ = body_sent_ = false;
    expects_continue_ = response_begun_ = response_ended_ = grpc_ = is_head_ = false;
}

void Exchange::begin(Downstream& client, const Arrival& from, const http1::RequestHead& head, Bytes body, bool end)
{
    client_ = &client;
    has_body_ = !body.empty();
    body_ = std::move(body);
    request_ended_ = end;
    is_head_ = http1::is_text(head.method, "HEAD");
    grpc_ = grpc::is_grpc({head.headers, head.header_count});
    if (snapshot_ != worker_->snapshot())
        snapshot_ = worker_->snapshot();
    const auto& target = snapshot_->find(from.local, plan::Protocol::Tcp);
    if (target.http == nullptr)
        return answer(404);  // the listener is gone since the connection came
    const auto path = canonical_path(head.path, worker_->scratch().path);
    if (!path)
        return answer(400);
    const auto route = target.http->route({.method = head.method,
                                           .authority = head.authority,
                                           .path = *path,
                                           .query = head.query,
                                           .headers = {head.headers, head.header_count}});
    if (route.listener != nullptr) {
        counters_ = &worker_->counters_of(*route.listener);
        count(counters_->requests);
    }
    const Fit fit = fit_of(from, target, head.authority, route.listener);
    if (fit == Fit::Outdated)
        client.serve_no_more();
    if (fit != Fit::Good)
        return answer(421);
    if (route.rule == nullptr)
        return answer(404);
    const model::Filters& filters = route.rule->filters;
    if (!filters.response_headers.empty())
        response_modifier_ = &filters.response_headers;
    if (filters.redirect)
        return answer_elsewhere(*filters.redirect,
                                redirect_location(*filters.redirect, head, *path, *route.path, from));
    backend_ = pick_backend(route.rule->backends, *worker_);
    if (backend_ == nullptr || !backend_->valid)
        return answer(500);
    if (backend_->endpoints.empty())
        return answer(503);
    target_.protocol = backend_->app_protocol;
    target_.tls = backend_->tls ? snapshot_->tls_of(*backend_) : nullptr;
    if (backend_->tls && target_.tls == nullptr)
        return answer(503);
    expects_continue_ = head.expect_continue;
    write_forwarded_head(head_, head, *path, from, filters.request_headers, end && !has_body_,
                         backend_->app_protocol == plan::AppProtocol::Http2);
    std::uint32_t timeout_ms = shorter(route.rule->request_timeout_ms, route.rule->backend_request_timeout_ms);
    if (grpc_)
        timeout_ms = shorter(timeout_ms, grpc::timeout_ms({head.headers, head.header_count}));
    if (timeout_ms != 0) {
        deadline_ms_ = worker_->loop().now_ms() + timeout_ms;
        worker_->loop().arm(request_timer_, timeout_ms);
    }
    connect(false);
}

void Exchange::forget_head()
{
    worker_->kept_head_bytes() -= std::exchange(kept_bytes_, 0);
    if (head_.text.capacity() > kHeadKept)
        free_memory(head_);
}

// A few bytes of HTTP/2 may be many times as many of a head, and the client decides how long its request lasts.
void Exchange::keep_head()
{
    if (head_.text.capacity() <= kHeadKept || kept_bytes_ != 0)
        return;
    kept_bytes_ = head_.text.capacity();
    worker_->kept_head_bytes() += kept_bytes_;
    if (body_sent_ || !request_ended_ || worker_->kept_head_bytes() > kKeptBytesMax)
        forget_head();
}

void Exchange::on_request_malformed()
{
    if (response_begun_)
        return client_->cut();
    answer(400);
}

// A 100 is not for the client: it had one of our own if it waits for one. An Upgrade waits for its 101 alone.
void Exchange::on_interim(const http1::ResponseHead& head)
{
    constexpr std::size_t kBytesMax = 8 * 1024;  // they pile up for a client that reads nothing
    constexpr std::size_t kBytesOfLine = 64;     // a status line, and what holds it
    std::size_t bytes = kBytesOfLine + head.reason.size();
    for (const http1::Header& header : std::span(head.headers, head.header_count))
        bytes += header.name.size() + header.value.size() + kBytesOfLine / 2;
    if (head.status == 100 || head_.upgrade || interim_bytes_ + bytes > kBytesMax)
        return;
    interim_bytes_ += bytes;
    touch();
    client_->send_interim(head);
}

void Exchange::on_response(const http1::ResponseHead& head, bool end)
{
    touch();
    response_begun_ = true;
    forget_head();
    if (counters_ != nullptr)
        count(counters_->responses[std::min(head.status / 100, 5)]);
    if (head.status != 101) {
        if (end)
            end_response();
        return client_->send_response(head, end);
    }
    worker_->loop().disarm(idle_timer_);
    worker_->loop().disarm(request_timer_);
    response_ended_ = true;
    client_->send_response(head, false);
    client_->become_tunnel(std::exchange(upstream_, nullptr)->detach());
}

void Exchange::on_response_body(Bytes body, bool end)
{
    touch();
    if (counters_ != nullptr)
        count(counters_->bytes_out, body.size());
    if (end)
        end_response();
    client_->send_body(std::move(body), end);
}

void Exchange::on_response_trailers(std::span<const http1::Header> trailers)
{
    touch();
    response_ended_ = true;
    client_->send_trailers(trailers);  // while the backend's stream holds them
    end_response();
}

// The backend is done: another request can have the connection before the client has read all, and the route's times
// are kept.
void Exchange::end_response()
{
    response_ended_ = true;
    worker_->loop().disarm(request_timer_);
    drop_upstream();
}

void Exchange::on_response_taken()
{
    touch();
    if (!response_ended_ && upstream_ != nullptr)
        upstream_->resume();
}

void Exchange::release()
{
    if (client_ == nullptr)
        return;
    if (response_begun_ && !response_ended_ && counters_ != nullptr)
        count(counters_->responses[0]);
    client_ = nullptr;
    drop_upstream();
    worker_->loop().disarm(idle_timer_);
    worker_->loop().disarm(request_timer_);
    worker_->give_back(*this);
}

void Exchange::touch() { worker_->loop().arm(idle_timer_, worker_->limits().stream_idle_timeout_ms); }

void Exchange::on_idle()
{
    worker_->hit(Limit::StreamIdleTimeout);
    on_request_timeout();
}

void Exchange::on_request_timeout()
{
    if (response_begun_)
        return client_->cut();
    answer(504);
}

}  // namespace sluice::proxy
