// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/http1_connection.h"

#include <algorithm>
#include <utility>

#include "agent/proxy/forwarded_head.h"
#include "agent/proxy/http2_connection.h"
#include "agent/proxy/tunnel.h"

namespace sluice::proxy {
namespace {

constexpr std::uint32_t kLingerMs = 1'000;  // for the client to read an answer that it did not wait for

}  // namespace

Http1Connection::Http1Connection(Worker& worker, std::unique_ptr<Stream> stream, const Arrival& from)
    : worker_(&worker), stream_(std::move(stream)), from_(from)
{
    stream_->set_user(this);
}

void Http1Connection::start()
{
    arm(worker_->limits().header_timeout_ms);  // the first request is due sooner than a later one
    stream_->recv(Amount::Little);             // an HTTP/2 client proves itself first (http2_session.cc)
}

void Http1Connection::drain(Arrivals arrivals)
{
    // Who may send one more request has it answered, and is told then that it was the last.
    if (arrivals == Arrivals::Served)
        return;
    keep_alive_ = false;
    if (phase_ == Phase::Idle)
        close();
}

void Http1Connection::on_stream_data(int result, Buffer buffer)
{
    if (phase_ == Phase::Closing) {
        if (result > 0)
            return stream_->recv();  // thrown away until the client has seen the end
        return close();
    }
    if (result <= 0)
        return close();
    in_.append(std::move(buffer));
    if (std::exchange(is_watching_, false) && phase_ == Phase::Exchange)
        return;  // the next request: it waits
    if (phase_ == Phase::Exchange)
        read_body();
    else
        read_head();
}

void Http1Connection::read_head()
{
    const Limits& limits = worker_->limits();
    if (phase_ == Phase::Idle) {
        phase_ = Phase::Head;
        arm(limits.header_timeout_ms);
    }
    if (is_first_ && is_http2())
        return;
    is_head_ = false;  // as long as the method is not known
    http1::RequestHead& head = worker_->scratch().request;
    const auto parsed = http1::parse_request(
        in_.view(), {limits.header_bytes_max, limits.request_line_bytes_max, limits.header_count_max}, head);
    if (parsed.status == http1::Status::Incomplete) {
        in_.keep();
        return stream_->recv();
    }
    is_head_ = http1::is_text(head.method, "HEAD");
    if (parsed.status == http1::Status::Invalid)
        return refuse(http1::status_code(parsed.reject));
    begin(head, parsed.head_bytes);
}

// Whether the connection begins with HTTP/2's preface (RFC 9113 section 3.3), as far as it is here; then it is handed
// on.
bool Http1Connection::is_http2()
{
    constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const std::string_view here = in_.view().substr(0, kPreface.size());
    if (!kPreface.starts_with(here))
        return false;
    if (here.size() < kPreface.size()) {
        in_.keep();
        stream_->recv();
        return true;
    }
    auto connection = std::make_unique<Http2Connection>(*worker_, std::move(stream_), from_, std::exchange(in_, {}));
    Http2Connection& started = *connection;
    worker_->adopt(std::move(connection));
    started.start();
    close();
    return true;
}

void Http1Connection::begin(http1::RequestHead& head, std::size_t head_bytes)
{
    phase_ = Phase::Exchange;
    worker_->loop().disarm(timer_);  // the exchange has its own times
    is_first_ = response_ended_ = false;
    minor_version_ = head.minor_version;
    keep_alive_ = head.keep_alive && !worker_->draining();
    body_.begin(head.framing, head.content_length);
    start_exchange();
    // The head's views point into the buffer that is moved into `body` or stays in `in_`: it lives through the call.
    Bytes body;
    const bool is_body_here = !body_.done() && in_.size() > head_bytes;
    if (is_body_here) {
        in_.consume(head_bytes);
        if (!body_.take(in_, body))
            return refuse(400);
    }
    wants_body_ = body.empty() && !body_.done();
    head.expect_continue = head.expect_continue && wants_body_;
    exchange_->begin(*this, from_, head, std::move(body), body_.done());
    if (!is_body_here)
        in_.consume(head_bytes);
    if (!is_counted_ && exchange_->counters() != nullptr) {
        is_counted_ = true;
        count(exchange_->counters()->connections);
    }
    if (wants_body_ && !response_ended_)
        stream_->recv();
    else
        watch();
}

// With the request complete, the client is still listened to: who leaves needs no answer, and nothing more of a
// backend.
void Http1Connection::watch()
{
    if (phase_ != Phase::Exchange || response_ended_ || !body_.done() || !in_.empty() || stream_->receiving())
        return;
    is_watching_ = true;
    stream_->recv();
}

Http1Output& Http1Connection::queued()
{
    if (queued_ == nullptr)
        queued_ = worker_->http1_outputs().take();
    return *queued_;
}

void Http1Connection::refuse(int status)
{
    phase_ = Phase::Exchange;
    worker_->loop().disarm(timer_);
    keep_alive_ = false;
    if (exchange_ == nullptr)
        start_exchange();
    exchange_->begin_refused(*this, status, is_head_);
}

void Http1Connection::read_body()
{
    if (!wants_body_ || response_ended_)
        return;
    Bytes data;
    if (!body_.take(in_, data)) {
        keep_alive_ = false;
        return exchange_->on_request_malformed();
    }
    if (data.empty() && !body_.done())
        return stream_->recv();
    wants_body_ = false;
    exchange_->on_request_body(std::move(data), body_.done());
    watch();
}

void Http1Connection::resume_request()
{
    wants_body_ = true;
    read_body();
}

void Http1Connection::send_interim(const http1::ResponseHead& response)
{
    if (minor_version_ == 0)
        return;  // HTTP/1.0 knows none (RFC 9110 section 15.2)
    begin_head(response, nullptr);
    queued().head += "\r\n";
    worker_->flush_soon(*this);
}

// The status line and the fields that are not the connection's.
void Http1Connection::begin_head(const http1::ResponseHead& response, const model::HeaderModifier* modifier)
{
    std::string& head = queued().head;
    http1::append(head, "HTTP/1.1 ", http1::NumberText(response.status).view(), " ", response.reason, "\r\n");
    const ResponseFilter filter(response, modifier);
    http1::append_fields(head, {response.headers, response.header_count},
                         [&filter](const http1::Header& header) { return filter.passes(header); });
    filter.add_own([&head](std::string_view name, std::string_view value) { http1::append_field(head, name, value); });
}

void Http1Connection::send_response(const http1::ResponseHead& response, bool end)
{
    const bool is_unknown_length =
        response.framing == http1::Framing::UntilClose || response.framing == http1::Framing::Chunked;
    chunk_out_ = is_unknown_length && minor_version_ >= 1;
    // An HTTP/1.0 client learns the end by the close; what is left of a request cannot be told from the next one.
    if ((is_unknown_length && !chunk_out_) || !body_.done() || worker_->draining())
        keep_alive_ = false;
    response_ended_ = end;
    begin_head(response, exchange_->response_modifier());
    std::string& head = queued().head;
    if (response.framing == http1::Framing::Length) {
        http1::append_field(head, "Content-Length", http1::NumberText(response.content_length).view());
    } else if (chunk_out_) {
        http1::append_field(head, "Transfer-Encoding", "chunked");
    } else if (end && !is_head_ && response.status >= 200 && response.status != 204 && response.status != 304) {
        http1::append_field(head, "Content-Length", "0");  // else the client would wait for the connection's end
    }
    if (response.status == 101) {
        http1::append_field(head, "Connection", "upgrade");
        http1::append_field(head, "Upgrade",
                            http1::value_of({response.headers, response.header_count}, http1::FieldName::Upgrade));
    } else if (!keep_alive_) {
        http1::append_field(head, "Connection", "close");
    } else if (minor_version_ == 0) {
        http1::append_field(head, "Connection", "keep-alive");
    }
    http1::append(head, "\r\n");
    worker_->flush_soon(*this);
}

void Http1Connection::send_body(Bytes body, bool end)
{
    response_ended_ = end;
    queued().set_body(std::move(body), chunk_out_, end);
    worker_->flush_soon(*this);
}

void Http1Connection::cut()
{
    // To HTTP/1.0 a quiet end may be that of the body (RFC 9112 section 8).
    if (minor_version_ == 0)
        stream_->reset_on_close();
    close();
}

void Http1Connection::flush()
{
    if (phase_ != Phase::Exchange || stream_ == nullptr || stream_->sending() || queued_ == nullptr)
        return;
    sending_ = std::move(queued_);
    const auto spans = sending_->spans();
    if (!in_.empty() && !spans.empty())
        return stream_->send(spans);                // its next request waits for its turn: others have theirs before
    if (spans.empty() || stream_->send_now(spans))  // none: the end of a body of known length
        on_stream_sent(0);
}

void Http1Connection::on_stream_sent(int result)
{
    if (phase_ != Phase::Exchange)
        return;
    if (result < 0)
        return close();
    const bool had_body = sending_->has_body();
    worker_->http1_outputs().give_back(std::move(sending_));
    if (queued_ != nullptr)
        return flush();
    if (response_ended_)
        return finish();
    if (had_body)
        exchange_->on_response_taken();
}

void Http1Connection::finish()
{
    std::exchange(exchange_, nullptr)->release();
    if (!keep_alive_ || !body_.done() || (stream_->receiving() && !is_watching_))
        return end_gently();
    is_watching_ = false;
    phase_ = Phase::Idle;
    arm(worker_->limits().idle_timeout_ms);
    if (in_.empty())
        return stream_->recv();
    read_head();
}

// What the client still sends is read for a moment, so that a reset does not overtake the answer.
void Http1Connection::end_gently()
{
    phase_ = Phase::Closing;
    in_.clear();
    stream_->shutdown_write();
    arm(kLingerMs);
    stream_->recv();
}

void Http1Connection::become_tunnel(Upstream::Detached backend)
{
    std::string to_client = std::move(queued().head);
    to_client += backend.received.view();
    auto tunnel = std::make_unique<Tunnel>(*worker_, std::move(stream_), std::move(backend.stream),
                                           Bytes(std::move(to_client)), std::exchange(in_, {}), *exchange_->counters());
    response_ended_ = true;
    Tunnel& started = *tunnel;
    worker_->adopt(std::move(tunnel));
    started.start();
    close();
}

void Http1Connection::on_timeout()
{
    if (phase_ != Phase::Closing)
        worker_->hit(phase_ == Phase::Head || is_first_ ? Limit::HeaderTimeout : Limit::IdleTimeout);
    if (phase_ == Phase::Head && !in_.empty())
        return refuse(408);
    close();
}

void Http1Connection::close()
{
    if (retired())
        return;
    phase_ = Phase::Closing;
    if (exchange_ != nullptr)
        std::exchange(exchange_, nullptr)->release();
    worker_->loop().disarm(timer_);
    if (stream_ != nullptr)
        stream_->abandon();
    worker_->retire(*this);
}

}  // namespace sluice::proxy
