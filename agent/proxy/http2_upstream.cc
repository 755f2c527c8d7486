// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/http2_upstream.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace sluice::proxy {
namespace {

constexpr std::size_t kStreamsMax = 100;  // on one connection, however many the backend allows

int status_of(std::string_view text)
{
    int status = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), status);
    return parsed.ec == std::errc{} && text.size() == 3 && parsed.ptr == text.data() + 3 ? status : 0;
}

}  // namespace

// One request.
class Http2Upstream::Call final : public Http2Stream, public Upstream {
public:
    Call(Http2Upstream& connection, UpstreamUser& user)
        : Http2Stream(connection), connection_(&connection), user_(&user), reused_(connection.served_)
    {
        ++connection.users_;
    }

    [[nodiscard]] bool ready() const override { return connection_->connected_; }
    [[nodiscard]] bool reused() const override { return reused_; }
    void send(const ForwardedHead& head, Bytes body, bool end) override;
    void send_body(Bytes body, bool end) override { Http2Stream::send(std::move(body), end); }
    void send_trailers(std::span<const http1::Header> trailers) override { Http2Stream::send_trailers(trailers); }
    void resume() override
    {
        credit(std::exchange(uncredited_, 0));
        paused_ = false;
        deliver();
    }
    void release() override;
    [[nodiscard]] Detached detach() override { return {}; }  // no 101 in HTTP/2

    void on_received() override;
    void on_interim() override;
    void on_taken() override
    {
        if (user_ != nullptr)
            user_->on_request_taken();
    }
    bool on_closed() override;
    void on_ready()
    {
        if (user_ != nullptr)
            user_->on_upstream_ready();
    }
    void fail(UpstreamFailure failure)
    {
        if (user_ != nullptr)
            user_->on_upstream_failed(failure);  // which releases
    }

private:
    // Into the worker's scratch; valid until `head_` changes.
    [[nodiscard]] http1::ResponseHead& read_head();
    void begin_response();
    void deliver();

    Http2Upstream* connection_;
    UpstreamUser* user_;
    std::size_t uncredited_ = 0;  // of the piece that the user has
    bool reused_;
    bool paused_ = false;
    bool response_begun_ = false;
    bool response_ended_ = false;
    bool is_head_ = false;
};

void Http2Upstream::Call::send(const ForwardedHead& head, Bytes body, bool end)
{
    const bool is_whole = body.empty() && end && head.framing == http1::Framing::None;
    is_head_ = head.is_head;
    if (!connection_->start(*this, head, is_whole))
        return fail(UpstreamFailure::Unhandled);  // the ids are used up, or a GOAWAY came
    if (!body.empty() || (end && !is_whole))
        Http2Stream::send(std::move(body), end);
    else if (!end)
        report_taken();
}

void Http2Upstream::Call::release()
{
    user_ = nullptr;
    --connection_->users_;
    --connection_->endpoint_->in_flight;
    if (id_ < 0)
        return connection_->drop_waiting(*this);
    if (!is_closed())
        reset(Http2Error::Cancel);
    else
        finish();
    connection_->on_stream_count();
}

void Http2Upstream::Call::on_received()
{
    if (user_ == nullptr)
        return;
    if (head_received_ && !response_begun_)
        begin_response();
    else if (response_begun_)
        deliver();
}

http1::ResponseHead& Http2Upstream::Call::read_head()
{
    http1::ResponseHead& head = connection_->worker_->scratch().response;
    head.reset();
    head.status = static_cast<std::uint16_t>(status_of(head_.pseudo(Pseudo::Status)));
    head.header_count = head_.fill(head.headers);
    return head;
}

void Http2Upstream::Call::on_interim()
{
    if (user_ != nullptr && !head_.too_large())
        user_->on_interim(read_head());
}

void Http2Upstream::Call::begin_response()
{
    http1::ResponseHead& head = read_head();
    if (head_.too_large() || head.status < 200 || head.status > 599)
        return fail(UpstreamFailure::Malformed);
    const std::span<const http1::Header> headers(head.headers, head.header_count);
    const bool is_whole = end_received_ && data_.empty() && !has_trailers_;
    const std::string_view length = http1::value_of(headers, http1::FieldName::ContentLength);
    const bool is_bodiless = is_head_ || head.status == 204 || head.status == 304;
    head.framing = is_bodiless ? http1::Framing::None : is_whole ? http1::Framing::Length : http1::Framing::Chunked;
    if (!is_bodiless && !is_whole && !length.empty()) {
        head.framing = http1::Framing::Length;  // nghttp2 has checked it, and checks the data against it
        std::from_chars(length.data(), length.data() + length.size(), head.content_length);
    }
    response_begun_ = true;
    response_ended_ = is_whole;
    user_->on_response(head, is_whole);
    head_.clear();  // or the client decides how long it takes memory
    deliver();
}

void Http2Upstream::Call::deliver()
{
    if (user_ == nullptr || paused_ || response_ended_)
        return;
    if (data_.empty() && has_trailers_ && end_received_) {
        response_ended_ = true;
        std::vector<http1::Header> trailers(http1::kHeadersMax);
        if (trailers_.too_large())
            return fail(UpstreamFailure::Malformed);  // grpc-status may be among them
        trailers.resize(trailers_.fill(trailers));
        if (trailers.empty())
            return user_->on_response_body({}, true);
        return user_->on_response_trailers(trailers);
    }
    if (data_.empty() && !end_received_)
        return;
    response_ended_ = end_received_ && !has_trailers_;
    paused_ = !response_ended_;
    uncredited_ = data_.size();
    user_->on_response_body(Bytes(std::exchange(data_, {})), response_ended_);
}

bool Http2Upstream::Call::on_closed()
{
    if (user_ != nullptr && !response_ended_) {
        if (end_received_ && close_error_ == NGHTTP2_NO_ERROR && response_begun_)
            return false;  // whole, but the user has not taken all of it yet
        if (close_error_ == NGHTTP2_REFUSED_STREAM)
            fail(connection_->over_ || connection_->is_leaving_ ? UpstreamFailure::Unhandled
                                                                : UpstreamFailure::Refused);
        else
            fail(response_begun_ || !connection_->over_ ? UpstreamFailure::Malformed : UpstreamFailure::Lost);
    }
    credit(data_.size() + std::exchange(uncredited_, 0));
    return true;
}

Http2Upstream::Http2Upstream(Worker& worker, UpstreamPool::Endpoint& endpoint, std::unique_ptr<Stream> stream)
    : UpstreamConnection(worker, endpoint), Http2Session(worker, Side::Client, std::move(stream))
{
}

Http2Upstream::~Http2Upstream() = default;

void Http2Upstream::connect(const SocketAddress& to)
{
    worker_->loop().arm(timer_, worker_->limits().connect_timeout_ms);
    stream_->connect(to);
}

Upstream& Http2Upstream::open(UpstreamUser& user)
{
    waiting_.push_back(std::make_unique<Call>(*this, user));
    return *waiting_.back();
}

bool Http2Upstream::has_room() const
{
    const std::size_t allowed = std::min<std::size_t>(
        kStreamsMax, nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
    return !is_leaving_ && !over_ && nghttp2_session_check_request_allowed(session_) != 0 &&
           stream_count() + waiting_.size() < allowed;
}

bool Http2Upstream::start(Call& call, const ForwardedHead& head, bool is_whole)
{
    const std::int32_t id = submit_request(call, head, is_whole);
    if (id < 0)
        return false;
    const auto found = std::ranges::find(waiting_, &call, &std::unique_ptr<Call>::get);
    adopt(std::move(*found), id);
    waiting_.erase(found);
    served_ = true;
    return true;
}

void Http2Upstream::drop_waiting(Call& call)
{
    const auto found = std::ranges::find(waiting_, &call, &std::unique_ptr<Call>::get);
    dropped_.push_back(std::move(*found));  // it may be in one of its calls
    waiting_.erase(found);
    on_stream_count();
    worker_->flush_soon(*this);
}

void Http2Upstream::flush()
{
    dropped_.clear();
    if (connected_)
        Http2Session::flush();
}

void Http2Upstream::on_stream_connected(int result)
{
    Loop& loop = worker_->loop();
    loop.disarm(timer_);
    if (result != 0)
        return on_over();
    connected_ = true;
    stream_->recv();
    std::vector<Call*> ready;
    for (const auto& call : waiting_)
        ready.push_back(call.get());
    for (Call* call : ready)
        call->on_ready();
    on_stream_count();  // its callers may have left meanwhile
    worker_->flush_soon(*this);
}

void Http2Upstream::on_stream_count()
{
    if (!connected_ || over_)
        return;
    if (users_ == 0)
        worker_->loop().arm(timer_, worker_->limits().upstream_idle_timeout_ms);
    else
        worker_->loop().disarm(timer_);
}

void Http2Upstream::on_over()
{
    if (over_)
        return;
    close_streams();
    std::vector<Call*> lost;
    for (const auto& call : waiting_)
        lost.push_back(call.get());
    for (Call* call : lost)
        call->fail(connected_ ? UpstreamFailure::Unhandled : UpstreamFailure::Connect);
    worker_->upstreams().discard(*this);
}

void Http2Upstream::end()
{
    over_ = true;
    std::erase(endpoint_->http2, this);
    worker_->loop().disarm(timer_);
    stream_->abandon();
}

void Http2Upstream::on_timeout()
{
    if (!connected_) {
        worker_->hit(Limit::ConnectTimeout);
        return stream_->cancel_connect();
    }
    if (users_ == 0)
        on_over();
}

}  // namespace sluice::proxy
