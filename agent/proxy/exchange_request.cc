// SPDX-License-Identifier: Apache-2.0
// An exchange's request on its way: the connection to the backend, what goes by it, and what is tried again.
#include <utility>

#include "agent/proxy/balancer.h"
#include "agent/proxy/exchange.h"
#include "agent/proxy/worker.h"

namespace sluice::proxy {
namespace {

constexpr unsigned kConnectAttempts = 3;

}  // namespace

void Exchange::connect(bool fresh)
{
    touch();
    upstream_ready_ = upstream_busy_ = head_sent_ = false;
    target_.address = pick_endpoint(*backend_, *worker_, tried_, target_.tls.get());
    upstream_ = worker_->upstreams().acquire(target_, *this, fresh);
    if (upstream_ == nullptr)
        return answer(503);
    if (upstream_->ready())
        on_upstream_ready();
}

void Exchange::on_upstream_ready()
{
    upstream_ready_ = true;
    touch();
    if (std::exchange(expects_continue_, false) && !request_ended_ && !has_body_)
        send_continue();
    send_pending_body();
}

// The client may send its body.
void Exchange::send_continue()
{
    http1::ResponseHead& head = worker_->scratch().response;
    head.reset();
    head.status = 100;
    head.reason = "Continue";
    client_->send_interim(head);
}

// What there is of the request goes to the backend: its head at once, with the first piece of the body if that is here.
void Exchange::send_pending_body()
{
    if (upstream_ == nullptr || !upstream_ready_ || upstream_busy_)
        return;
    const bool is_last = request_ended_ && trailers_.empty();
    if (!head_sent_) {
        head_sent_ = upstream_busy_ = true;
        body_sent_ = has_body_;
        if (counters_ != nullptr)
            count(counters_->bytes_in, head_.text.size() + body_.size());
        has_body_ = false;
        upstream_->send(head_, std::move(body_), is_last);
        return keep_head();
    }
    if (has_body_) {
        has_body_ = false;
        body_sent_ = upstream_busy_ = true;
        if (counters_ != nullptr)
            count(counters_->bytes_in, body_.size());
        return upstream_->send_body(std::move(body_), is_last);
    }
    if (request_ended_ && !trailers_.empty()) {
        // Taken out first: the backend may report within the call that it has them.
        const auto due = std::exchange(trailers_, {});
        std::vector<http1::Header> trailers;
        for (const auto& [name, value] : due)
            trailers.push_back({name, value});
        body_sent_ = upstream_busy_ = true;
        upstream_->send_trailers(trailers);
    }
}

void Exchange::on_request_taken()
{
    upstream_busy_ = false;
    touch();
    if (has_body_ || !trailers_.empty())
        return send_pending_body();
    if (!request_ended_ && client_ != nullptr)
        client_->resume_request();
}

void Exchange::on_request_body(Bytes body, bool end)
{
    body_ = std::move(body);
    has_body_ = true;
    request_ended_ = end;
    touch();
    send_pending_body();
}

void Exchange::on_request_trailers(std::span<const http1::Header> trailers)
{
    for (const http1::Header& trailer : trailers)
        trailers_.emplace_back(trailer.name, trailer.value);
    request_ended_ = true;
    touch();
    send_pending_body();
}

void Exchange::on_upstream_failed(UpstreamFailure failure)
{
    const bool was_reused = upstream_ != nullptr && upstream_->reused();
    drop_upstream();
    if (response_begun_)
        return client_->cut();
    // gRPC servers keep the same time, and reset the stream perhaps a moment before our timer.
    if (deadline_ms_ != 0 && worker_->loop().now_ms() >= deadline_ms_)
        return answer(504);
    if (failure == UpstreamFailure::Connect) {
        worker_->upstreams().avoid(target_);
        tried_.push_back(target_.address);
        return tried_.size() < kConnectAttempts ? connect(true) : answer(503);
    }
    // A pooled connection may just have been closed by the backend, and what it refused unseen may go again.
    const bool is_safe = failure == UpstreamFailure::Unhandled || failure == UpstreamFailure::Refused ||
                         (failure == UpstreamFailure::Lost && was_reused && head_.is_idempotent);
    if (is_safe && !body_sent_ && request_ended_ && !head_.text.empty() && tried_.size() < kConnectAttempts) {
        tried_.push_back(target_.address);
        return connect(failure != UpstreamFailure::Refused);
    }
    answer(failure == UpstreamFailure::Refused ? 503 : 502);
}

void Exchange::drop_upstream()
{
    if (upstream_ != nullptr)
        std::exchange(upstream_, nullptr)->release();
}

}  // namespace sluice::proxy
