// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <utility>

#include "agent/proxy/forwarded_head.h"
#include "agent/proxy/http2_callbacks.h"

namespace sluice::proxy {
namespace {

// What a peer may make us hold, besides its streams and their decoded heads: the data in them.
constexpr std::uint32_t kStreamWindow = 64 * 1024 - 1;
constexpr std::int32_t kServerWindow = 256 * 1024;  // of all streams of one client
// One stalled client must not stall the others that share a connection to a backend: the streams' windows bound it.
constexpr std::int32_t kClientWindow = static_cast<std::int32_t>(kHttp2StreamsMax * (kStreamWindow + 1));
// Frames of a client that carry no message (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA) or are refused: so
// many at once and a second, and more for each frame of a message, with which browsers and gRPC's measurements send
// them.
constexpr std::uint32_t kControlFramesMax = 256;
constexpr std::uint32_t kControlFramesPerSecond = 20;
constexpr std::uint32_t kControlFramesPerMessageFrame = 10;

// A response's head as nghttp2 takes it. Views into the head and into itself.
class ResponseFields {
public:
    ResponseFields(const http1::ResponseHead& head, const model::HeaderModifier* modifier)
        : status_(head.status), length_(head.content_length)
    {
        fields_.reserve(head.header_count + 2U);
        fields_.push_back(http2_field_of_literal(":status", status_.view()));
        const ResponseFilter filter(head, modifier);
        const auto add = [this](std::string_view name, std::string_view value) {
            fields_.push_back(http2_field(name, value));
        };
        for (const http1::Header& header : std::span(head.headers, head.header_count)) {
            if (filter.passes(header))
                add(header.name, header.value);
        }
        filter.add_own(add);
        if (head.framing == http1::Framing::Length)
            fields_.push_back(http2_field_of_literal("content-length", length_.view()));
    }
    ResponseFields(const ResponseFields&) = delete;
    ResponseFields& operator=(const ResponseFields&) = delete;
    [[nodiscard]] const nghttp2_nv* data() const { return fields_.data(); }
    [[nodiscard]] std::size_t size() const { return fields_.size(); }

private:
    http1::NumberText status_;
    http1::NumberText length_;
    std::vector<nghttp2_nv> fields_;
};

}  // namespace

Http2Session::Http2Session(Worker& worker, Side side, std::unique_ptr<Stream> stream)
    : worker_(&worker),
      stream_(std::move(stream)),
      control_frames_(kControlFramesMax, kControlFramesPerSecond, worker.loop().now_ms()),
      is_proven_(side == Side::Client)
{
    stream_->set_user(this);
    const bool is_server = side == Side::Server;
    const auto make = is_server ? nghttp2_session_server_new2 : nghttp2_session_client_new2;
    make(&session_, http2_callbacks(), this, http2_options(side));
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, is_server ? kHttp2StreamsMax : 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, worker.limits().header_bytes_max},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, is_server ? 3 : 4);
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, is_server ? kServerWindow : kClientWindow);
}

Http2Session::~Http2Session() { nghttp2_session_del(session_); }

void Http2Session::adopt(std::unique_ptr<Http2Stream> stream, std::int32_t id)
{
    stream->id_ = id;
    stream->place_ = streams_.size();
    streams_.push_back(std::move(stream));
    on_stream_count();
}

void Http2Session::drop(const Http2Stream& stream)
{
    const std::size_t place = stream.place_;
    streams_.back()->place_ = place;
    streams_[place].swap(streams_.back());
    streams_.pop_back();
    on_stream_count();
}

void Http2Session::touch(Http2Stream& stream)
{
    if (!std::exchange(stream.touched_, true))
        due_.push_back(&stream);
}

void Http2Session::pay()
{
    if (nghttp2_session_check_server_session(session_) == 0)
        return;
    if (!control_frames_.take(worker_->loop().now_ms()))
        nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
}

void Http2Session::earn()
{
    control_frames_.add(kControlFramesPerMessageFrame);
    is_proven_ = true;
}

void Http2Session::on_stream_data(int result, Buffer buffer)
{
    if (result <= 0)
        return on_over();
    feed(Bytes(std::move(buffer)));
}

// A tiresome client is heard a hundred times a second, until its next head (Http2Callbacks::header). One that asked for
// nothing yet gets little of the turn: who floods comes back in ever new connections.
void Http2Session::feed(Bytes bytes)
{
    constexpr std::uint32_t kPauseMs = 10;
    resets_ = 0;
    const auto used =
        nghttp2_session_mem_recv2(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    dispatch();
    if (used == NGHTTP2_ERR_FLOODED || used == NGHTTP2_ERR_TOO_MANY_SETTINGS ||
        used == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
        worker_->hit(Limit::Http2Flood);
    if (used < 0)
        return on_over();  // not even a GOAWAY can be made: out of memory, a flood, or no preface
    worker_->flush_soon(*this);
    if (over_)
        return;
    bytes.consume(static_cast<std::size_t>(used));
    if (!is_tiresome())
        return stream_->recv(is_proven_ ? Amount::Usual : Amount::Little);
    if (!bytes.empty()) {
        bytes.keep();
        held_ = std::move(bytes);
    }
    worker_->loop().arm(pause_, kPauseMs);
}

// Also without bytes: the head at which it stopped may have been whole.
void Http2Session::resume()
{
    if (!over_)
        feed(std::exchange(held_, {}));
}

void Http2Session::end_head()
{
    arriving_ = nullptr;
    on_head_ended();
}

void Http2Session::dispatch()
{
    if (std::exchange(dispatching_, true))
        return;
    for (std::size_t i = 0; i < due_.size() && !over_; ++i) {
        Http2Stream& stream = *due_[i];
        stream.touched_ = false;
        if (std::exchange(stream.received_, false))
            stream.on_received();
        if (std::exchange(stream.taken_, false) && !stream.closed_ && !over_)
            stream.on_taken();
        if (!stream.closed_ || stream.touched_ || over_)
            continue;            // or its turn comes once more
        stream.touched_ = true;  // it may be gone after this: nothing may queue it again
        if (!stream.on_closed()) {
            stream.touched_ = false;
            continue;
        }
        drop(stream);
    }
    due_.clear();
    dispatching_ = false;
}

void Http2Session::flush()
{
    if (over_ || stream_->sending())
        return;
    out_.clear();
    while (out_.size() < kHttp2OutputMax) {
        const std::uint8_t* data = nullptr;
        const auto count = nghttp2_session_mem_send2(session_, &data);
        if (count < 0)
            return on_over();
        if (count == 0)
            break;
        out_ += http2_view(data, static_cast<std::size_t>(count));
    }
    const bool is_done = nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
    dispatch();
    if (over_)
        return;
    if (!out_.empty()) {
        const iovec span{out_.data(), out_.size()};
        worker_->loop().arm(write_timer_, worker_->limits().idle_timeout_ms);
        return stream_->send({&span, 1});
    }
    if (is_done)
        on_over();
}

void Http2Session::on_stream_sent(int result)
{
    worker_->loop().disarm(write_timer_);
    if (over_)
        return;
    if (result < 0)
        return on_over();
    if (streams_.empty())
        std::string().swap(out_);  // an idle connection holds no buffer
    worker_->flush_soon(*this);
}

void Http2Session::close_streams()
{
    over_ = true;
    held_.clear();
    for (const auto& stream : streams_) {
        if (!std::exchange(stream->closed_, true))
            stream->close_error_ = stream->end_received_ ? NGHTTP2_NO_ERROR : NGHTTP2_INTERNAL_ERROR;
        static_cast<void>(stream->on_closed());
    }
}

void Http2Session::submit_interim(Http2Stream& stream, const http1::ResponseHead& head)
{
    const ResponseFields fields(head, nullptr);
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, fields.data(), fields.size(), nullptr);
    worker_->flush_soon(*this);
}

void Http2Session::submit_response(Http2Stream& stream, const http1::ResponseHead& head,
                                   const model::HeaderModifier* modifier, bool end)
{
    const ResponseFields fields(head, modifier);
    const nghttp2_data_provider2 body = http2_output_of(stream);
    nghttp2_submit_response2(session_, stream.id_, fields.data(), fields.size(), end ? nullptr : &body);
    worker_->flush_soon(*this);
}

std::int32_t Http2Session::submit_request(Http2Stream& stream, const ForwardedHead& head, bool end)
{
    std::vector<nghttp2_nv> fields;
    fields.reserve(head.fields.size() + 4);
    fields.push_back(http2_field_of_literal(":method", head.method));
    fields.push_back(http2_field_of_literal(":scheme", stream_->tls() == nullptr ? "http" : "https"));
    fields.push_back(http2_field_of_literal(":authority", head.authority));
    fields.push_back(http2_field_of_literal(":path", head.path));
    for (const ForwardedHead::Field& field : head.fields)
        fields.push_back(http2_field(head.name(field), head.value(field)));
    const nghttp2_data_provider2 body = http2_output_of(stream);
    const std::int32_t id =
        nghttp2_submit_request2(session_, nullptr, fields.data(), fields.size(), end ? nullptr : &body, &stream);
    worker_->flush_soon(*this);
    return id;
}

void Http2Stream::report_taken()
{
    taken_ = true;
    finish();
}

void Http2Stream::finish()
{
    session_->touch(*this);
    session_->worker_->flush_soon(*session_);
}

void Http2Stream::send(Bytes data, bool end)
{
    out_ = std::move(data);
    out_end_ = end;
    out_due_ = true;
    if (id_ >= 0)
        nghttp2_session_resume_data(session_->session_, id_);  // not deferred: no effect
    session_->worker_->flush_soon(*session_);
}

void Http2Stream::send_trailers(std::span<const http1::Header> trailers)
{
    for (const http1::Header& trailer : trailers)
        out_trailers_.emplace_back(trailer.name, trailer.value);
    send({}, true);
}

void Http2Stream::reset(Http2Error error)
{
    if (id_ >= 0 && !closed_)
        nghttp2_submit_rst_stream(session_->session_, NGHTTP2_FLAG_NONE, id_, static_cast<std::uint32_t>(error));
    session_->worker_->flush_soon(*session_);
}

void Http2Stream::credit(std::size_t count)
{
    if (count == 0 || session_->over_)
        return;
    nghttp2_session_consume(session_->session_, id_, count);
    session_->worker_->flush_soon(*session_);
}

}  // namespace sluice::proxy
