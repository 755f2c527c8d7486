// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/http1_upstream.h"

#include <utility>

namespace sluice::proxy {

Http1Upstream::Http1Upstream(Worker& worker, UpstreamPool::Endpoint& endpoint, std::unique_ptr<Stream> stream)
    : UpstreamConnection(worker, endpoint), stream_(std::move(stream))
{
    stream_->set_user(this);
}

void Http1Upstream::connect(const SocketAddress& to)
{
    worker_->loop().arm(timer_, worker_->limits().connect_timeout_ms);
    stream_->connect(to);
}

void Http1Upstream::assign(UpstreamUser& user)
{
    user_ = &user;
    reused_ = connected_;
    if (connected_)
        worker_->loop().disarm(timer_);
    request_ended_ = begun_ = body_due_ = head_read_ = response_ended_ = paused_ = false;
    keep_alive_ = true;
}

void Http1Upstream::on_stream_connected(int result)
{
    worker_->loop().disarm(timer_);
    connected_ = result == 0;
    if (user_ == nullptr)
        return;
    if (connected_)
        user_->on_upstream_ready();
    else
        fail(UpstreamFailure::Connect);
}

void Http1Upstream::send(const ForwardedHead& head, Bytes body, bool end)
{
    is_head_ = head.is_head;
    upgrade_ = head.upgrade;
    chunk_out_ = head.framing == http1::Framing::Chunked;
    output_ = worker_->http1_outputs().take();
    output_->head = head.text;
    if (!body.empty() || (chunk_out_ && end))
        output_->set_body(std::move(body), chunk_out_, end);
    request_ended_ = end;
    transmit();
    stream_->recv();
}

void Http1Upstream::send_body(Bytes body, bool end)
{
    output_ = worker_->http1_outputs().take();
    output_->set_body(std::move(body), chunk_out_, end);
    request_ended_ = end;
    transmit();
}

void Http1Upstream::transmit()
{
    body_due_ = true;
    worker_->flush_soon(*this);
}

void Http1Upstream::flush()
{
    if (user_ == nullptr || output_ == nullptr)
        return;
    begun_ = true;
    const auto spans = output_->spans();
    if (spans.empty() || stream_->send_now(spans))  // none: the end of a body of known length
        on_stream_sent(0);
}

void Http1Upstream::on_stream_sent(int result)
{
    worker_->http1_outputs().give_back(std::move(output_));
    if (result < 0)
        return;  // the receive tells whether there is an answer all the same
    if (user_ != nullptr && std::exchange(body_due_, false))
        user_->on_request_taken();
}

void Http1Upstream::on_stream_data(int result, Buffer buffer)
{
    if (user_ == nullptr) {  // idle: closed by the backend, or it speaks unasked
        worker_->upstreams().take_idle(*this, *endpoint_);
        return worker_->upstreams().discard(*this);
    }
    if (!begun_)
        return fail(UpstreamFailure::Unhandled);  // closed, or bytes that cannot be the answer to what was not sent
    if (result < 0)
        return fail(head_read_ || !in_.empty() ? UpstreamFailure::Malformed : UpstreamFailure::Lost);
    if (result == 0)
        gone_ = true;
    else
        in_.append(std::move(buffer));
    if (head_read_)
        read_body();
    else if (gone_)
        fail(in_.empty() ? UpstreamFailure::Lost : UpstreamFailure::Malformed);
    else
        read_head();
}

void Http1Upstream::read_head()
{
    const Limits& limits = worker_->limits();
    http1::ResponseHead& head = worker_->scratch().response;
    for (;;) {
        const auto parsed = http1::parse_response(
            in_.view(), {limits.header_bytes_max, limits.request_line_bytes_max, limits.header_count_max},
            is_head_ ? "HEAD" : "", head);
        if (parsed.status == http1::Status::Incomplete) {
            in_.keep();
            return stream_->recv();
        }
        const bool is_switch = head.status == 101;
        if (parsed.status == http1::Status::Invalid || (is_switch && (!upgrade_ || stream_->sending())))
            return fail(UpstreamFailure::Malformed);
        if (!is_switch && head.status < 200) {
            user_->on_interim(head);
            in_.consume(parsed.head_bytes);
            continue;
        }
        head_read_ = true;
        keep_alive_ = head.keep_alive && head.framing != http1::Framing::UntilClose && !is_switch;
        body_.begin(head.framing, head.content_length);
        return pass_head(head, parsed.head_bytes);
    }
}

void Http1Upstream::pass_head(const http1::ResponseHead& head, std::size_t head_bytes)
{
    response_ended_ = body_.done() && head.status != 101;
    if (response_ended_ || head.status == 101) {
        // The user releases or detaches within the call: the head's bytes are not to be found in `in_` then.
        const Bytes kept = in_.split(head_bytes, head_bytes);
        return user_->on_response(head, response_ended_);
    }
    user_->on_response(head, false);
    if (user_ == nullptr)
        return;
    in_.consume(head_bytes);
    read_body();
}

void Http1Upstream::read_body()
{
    if (paused_ || response_ended_)
        return;
    Bytes data;
    if (!body_.take(in_, data))
        return fail(UpstreamFailure::Malformed);
    if (!data.empty() || body_.done())
        return deliver(std::move(data));
    if (!gone_)
        return stream_->recv(body_.amount());
    if (!body_.end_of_input())
        return fail(UpstreamFailure::Malformed);
    deliver({});
}

void Http1Upstream::deliver(Bytes data)
{
    response_ended_ = body_.done();
    paused_ = !response_ended_;
    user_->on_response_body(std::move(data), response_ended_);
}

void Http1Upstream::resume()
{
    paused_ = false;
    read_body();
}

void Http1Upstream::fail(UpstreamFailure failure)
{
    keep_alive_ = false;
    if (user_ != nullptr)
        user_->on_upstream_failed(failure);  // which releases
}

void Http1Upstream::release()
{
    user_ = nullptr;
    --endpoint_->in_flight;
    if (!is_complete() || stream_->sending())
        return worker_->upstreams().discard(*this);
    stream_->recv();
    // An end, or bytes that would be taken for the answer to the next request, which could begin before they are seen.
    if (stream_->has_news() || !worker_->upstreams().put_idle(*this, *endpoint_))
        return worker_->upstreams().discard(*this);
    worker_->loop().arm(timer_, worker_->limits().upstream_idle_timeout_ms);
}

Upstream::Detached Http1Upstream::detach()
{
    user_ = nullptr;
    --endpoint_->in_flight;
    Detached result{std::move(stream_), std::move(in_)};
    worker_->upstreams().discard(*this);
    return result;
}

void Http1Upstream::end()
{
    keep_alive_ = false;
    worker_->loop().disarm(timer_);
    if (stream_ == nullptr)
        return;
    // Given up half-way: a close in peace would keep the local port for a minute (TIME_WAIT), and clients that give up
    // often would use up all that lead to this endpoint.
    if (connected_ && !response_ended_)
        stream_->reset_on_close();
    stream_->abandon();
}

void Http1Upstream::on_timeout()
{
    if (!connected_) {
        worker_->hit(Limit::ConnectTimeout);
        return stream_->cancel_connect();
    }
    worker_->upstreams().take_idle(*this, *endpoint_);
    worker_->upstreams().discard(*this);
}

}  // namespace sluice::proxy
