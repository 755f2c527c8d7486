// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/http2_connection.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "agent/proxy/http1_grammar.h"

namespace sluice::proxy {
namespace {

constexpr std::uint32_t kDrainMs = 200;          // between the two GOAWAYs: requests on their way still arrive
constexpr std::uint32_t kLingerMs = 1'000;       // for the client to read the last frames
constexpr std::size_t kLingerBytes = 64 * 1024;  // that it may send meanwhile

}  // namespace

// A request of the client.
class Http2Connection::Request final : public Http2Stream, public Downstream {
public:
    explicit Request(Http2Connection& connection) : Http2Stream(connection), connection_(&connection) {}

    void on_received() override;
    void on_taken() override { exchange_->on_response_taken(); }
    bool on_closed() override
    {
        if (exchange_ != nullptr)
            std::exchange(exchange_, nullptr)->release();
        credit(data_.size() + uncredited_);
        return true;
    }

    void send_interim(const http1::ResponseHead& head) override { connection_->submit_interim(*this, head); }
    void send_response(const http1::ResponseHead& head, bool end) override
    {
        connection_->submit_response(*this, head, exchange_->response_modifier(), end);
    }
    void send_body(Bytes body, bool end) override { send(std::move(body), end); }
    void send_trailers(std::span<const http1::Header> trailers) override { Http2Stream::send_trailers(trailers); }
    void resume_request() override
    {
        credit(std::exchange(uncredited_, 0));
        wants_body_ = true;
        deliver();
    }
    void cut() override { reset(Http2Error::Internal); }
    void serve_no_more() override { connection_->drain(Arrivals::Served); }
    void become_tunnel(Upstream::Detached) override {}  // no Upgrade in HTTP/2 (RFC 9113 section 8.6)

private:
    void begin();
    void deliver();
    // 0, or the status to refuse with. Views into `head_`.
    [[nodiscard]] int read_head(http1::RequestHead& head) const;

    Http2Connection* connection_;
    Exchange* exchange_ = nullptr;
    std::size_t uncredited_ = 0;  // of the piece that the exchange has
    bool wants_body_ = false;
    bool trailers_sent_ = false;
};

void Http2Connection::Request::on_received()
{
    if (exchange_ != nullptr)
        deliver();
    else if (!is_void())  // rapid reset (CVE-2023-44487): the backend never hears of it
        begin();
}

int Http2Connection::Request::read_head(http1::RequestHead& head) const
{
    head.reset();
    head.header_count = head_.fill(head.headers);
    const std::span<const http1::Header> headers(head.headers, head.header_count);
    if (head_.too_large())
        return 431;
    head.method = head_.pseudo(Pseudo::Method);
    head.target = head_.pseudo(Pseudo::Path);
    head.authority = head_.pseudo(Pseudo::Authority);
    if (head.method == "CONNECT")
        return 501;
    const std::size_t query = head.target.find('?');
    head.path = head.target.substr(0, query);
    if (query != std::string_view::npos)
        head.query = head.target.substr(query + 1);
    const auto is_visible = [](char c) { return http1::is(c, http1::kTarget); };
    if (!std::ranges::all_of(head.target, is_visible) ||
        (!head.path.starts_with('/') && (head.path != "*" || head.method != "OPTIONS")))
        return 400;
    // As over HTTP/1 (kRequestName): backends of the CGI kind take '_' for '-'.
    if (std::ranges::any_of(headers, [](const http1::Header& header) { return header.name.contains('_'); }))
        return 400;
    const http1::Header* host = http1::find_field(headers, http1::FieldName::Host);
    if (host != nullptr && !head.authority.empty() && !http1::equals_ignoring_case(host->value, head.authority))
        return 400;  // RFC 9113 section 8.3.1
    if (head.authority.empty() && host != nullptr)
        head.authority = host->value;
    if (!http1::is_authority(head.authority))
        return 400;
    const std::string_view length = http1::value_of(headers, http1::FieldName::ContentLength);
    head.expect_continue = http1::has_token(headers, "expect", "100-continue");
    head.framing = is_head_alone_ ? http1::Framing::None : http1::Framing::Chunked;
    if (!length.empty()) {
        head.framing = http1::Framing::Length;
        const auto parsed = std::from_chars(length.data(), length.data() + length.size(), head.content_length);
        if (parsed.ec != std::errc{} || parsed.ptr != length.data() + length.size())
            return 400;
    }
    return 0;
}

void Http2Connection::Request::begin()
{
    if (!head_received_)
        return;
    exchange_ = &connection_->worker_->take_exchange();
    http1::RequestHead& head = connection_->worker_->scratch().request;
    if (const int status = read_head(head); status != 0) {
        const bool is_head = head_.pseudo(Pseudo::Method) == "HEAD";
        head_.clear();
        return exchange_->begin_refused(*this, status, is_head);
    }
    uncredited_ = data_.size();
    wants_body_ = data_.empty();
    head.expect_continue = head.expect_continue && wants_body_ && !end_received_;
    Bytes body;
    if (!data_.empty())
        body = Bytes(std::exchange(data_, {}));
    exchange_->begin(*this, connection_->from_, head, std::move(body), end_received_ && !has_trailers_);
    head_.clear();
    ListenerCounters* counters = exchange_->counters();
    if (counters != nullptr && !std::exchange(connection_->is_counted_, true))
        count(counters->connections);
    if (has_trailers_)
        deliver();
}

void Http2Connection::Request::deliver()
{
    if (!wants_body_ || trailers_sent_)
        return;
    const bool is_trailers_turn = data_.empty() && has_trailers_;
    if (is_trailers_turn && end_received_) {
        trailers_sent_ = true;
        std::vector<http1::Header> trailers(http1::kHeadersMax);
        wants_body_ = false;
        if (trailers_.too_large())
            return exchange_->on_request_malformed();
        trailers.resize(trailers_.fill(trailers));
        if (trailers.empty())
            return exchange_->on_request_body({}, true);
        return exchange_->on_request_trailers(trailers);
    }
    if (data_.empty() && !end_received_)
        return;
    wants_body_ = false;
    uncredited_ = data_.size();
    const bool is_end = end_received_ && !has_trailers_;
    exchange_->on_request_body(Bytes(std::exchange(data_, {})), is_end);
}

Http2Connection::Http2Connection(Worker& worker, std::unique_ptr<Stream> stream, const Arrival& from, Bytes received)
    : Http2Session(worker, Side::Server, std::move(stream)), from_(from), received_(std::move(received))
{
}

void Http2Connection::start()
{
    worker_->loop().arm(timer_, worker_->limits().header_timeout_ms);
    feed(std::exchange(received_, {}));
    if (!over_ && worker_->draining())
        drain(Arrivals::Served);
}

std::unique_ptr<Http2Stream> Http2Connection::make_stream() { return std::make_unique<Request>(*this); }

void Http2Connection::on_head_begun()
{
    is_head_under_way_ = had_stream_ = true;
    if (!is_draining_)
        worker_->loop().arm(timer_, worker_->limits().header_timeout_ms);
}

void Http2Connection::on_stream_count()
{
    if (is_draining_ || over_ || is_head_under_way_)
        return;
    if (stream_count() == 0)
        worker_->loop().arm(timer_, worker_->limits().idle_timeout_ms);
    else
        worker_->loop().disarm(timer_);  // the exchanges have their own times
}

void Http2Connection::drain(Arrivals)
{
    if (over_ || std::exchange(is_draining_, true))
        return;
    nghttp2_submit_shutdown_notice(session_);
    worker_->flush_soon(*this);
    worker_->loop().arm(timer_, kDrainMs);
}

void Http2Connection::on_timeout()
{
    if (is_closing_ || over_)
        return close();
    if (is_draining_ && !std::exchange(is_drained_, true)) {
        nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                              NGHTTP2_NO_ERROR, nullptr, 0);
        worker_->loop().arm(timer_, worker_->limits().header_timeout_ms);
    } else if (!is_draining_ || is_head_under_way_) {
        worker_->hit(is_head_under_way_ || !had_stream_ ? Limit::HeaderTimeout : Limit::IdleTimeout);
        nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
    }
    worker_->flush_soon(*this);
}

void Http2Connection::on_stream_data(int result, Buffer buffer)
{
    if (!is_closing_)
        return Http2Session::on_stream_data(result, std::move(buffer));
    lingered_ += static_cast<std::size_t>(std::max(result, 0));
    if (result > 0 && lingered_ < kLingerBytes)
        return stream_->recv();  // thrown away
    close();
}

// What the client still sends is read for a moment, so that a reset does not overtake the last frames.
void Http2Connection::end_gently()
{
    if (std::exchange(is_closing_, true))
        return;
    close_streams();
    stream_->shutdown_write();
    worker_->loop().arm(timer_, kLingerMs);
    stream_->recv();
}

void Http2Connection::close()
{
    if (retired())
        return;
    is_closing_ = true;
    close_streams();
    worker_->loop().disarm(timer_);
    stream_->abandon();
    worker_->retire(*this);
}

}  // namespace sluice::proxy
