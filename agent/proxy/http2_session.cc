// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "agent/proxy/forwarded_head.h"
#include "agent/proxy/http1_grammar.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kOutputMax = 64 * 1024;  // gathered for one send
// What a peer may make us hold: the streams it opens, the data in them, the decoded head.
constexpr std::uint32_t kStreamsMax = 100;
constexpr std::uint32_t kStreamWindow = 64 * 1024 - 1;
constexpr std::int32_t kServerWindow = 256 * 1024;  // of all streams of one client
// One stalled client must not stall the others that share a connection to a backend: the streams' windows bound it.
constexpr std::int32_t kClientWindow = static_cast<std::int32_t>(kStreamsMax * (kStreamWindow + 1));
// Resets by the peer (rapid reset, CVE-2023-44487) and other odd frames: nghttp2's own limits, 1,000 and then 33 a
// second. Acknowledgements that the peer does not read: 1,000, nghttp2's too.
constexpr std::size_t kContinuationsMax = 8;
constexpr std::size_t kSettingsMax = 32;
// Frames of a client that carry no message (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA) or are refused: so
// many at once and a second, and more for each frame of a message, with which browsers and gRPC's measurements send
// them.
constexpr std::uint32_t kControlFramesMax = 256;
constexpr std::uint32_t kControlFramesPerSecond = 20;
constexpr std::uint32_t kControlFramesPerMessageFrame = 10;

nghttp2_nv nv_of(std::string_view name, std::string_view value)
{
    // nghttp2 takes no const pointers; it copies both.
    return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
            reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
            NGHTTP2_NV_FLAG_NONE};
}

std::string_view view_of(const std::uint8_t* data, std::size_t size)
{
    return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

// nghttp2's events, in C's calling convention. Nothing here calls a stream: that is for after the read or write.
struct Http2Callbacks {
    static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }
    static Http2Stream* stream(nghttp2_session* session, std::int32_t id)
    {
        return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session, id));
    }

    static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user)
    {
        Http2Session& owner = self(user);
        owner.on_head_begun();
        if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
            return 0;
        auto made = owner.make_stream();
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, made.get());
        owner.adopt(std::move(made), frame->hd.stream_id);
        return 0;
    }

    // What nghttp2 lets pass: frames on streams that are closed or were skipped, and PRIORITY of no stream.
    static int begin_frame(nghttp2_session* session, const nghttp2_frame_hd* head, void* user)
    {
        Http2Session& owner = self(user);
        const bool is_message = head->type == NGHTTP2_HEADERS || (head->type == NGHTTP2_DATA && head->length != 0);
        if (head->type == NGHTTP2_RST_STREAM)
            owner.resets_ +=
                nghttp2_session_check_server_session(session) != 0 ? 1U : 0U;  // nghttp2 limits their number
        else if (!is_message)
            owner.pay();
        if (head->type == NGHTTP2_PRIORITY && head->stream_id == 0)
            return nghttp2_session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR);
        const bool is_known = head->stream_id > nghttp2_session_get_last_proc_stream_id(session) ||
                              nghttp2_session_find_stream(session, head->stream_id) != nullptr;
        if ((head->type != NGHTTP2_HEADERS && head->type != NGHTTP2_DATA) || is_known ||
            nghttp2_session_check_server_session(session) == 0 || owner.reset_by_us_.has(head->stream_id))
            return 0;
        const bool was_ended = owner.ended_by_peer_.has(head->stream_id);
        return nghttp2_session_terminate_session(session, was_ended ? NGHTTP2_STREAM_CLOSED : NGHTTP2_PROTOCOL_ERROR);
    }

    static int header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                      void* user)
    {
        Http2Stream* target = stream(session, frame->hd.stream_id);
        if (target == nullptr)
            return 0;
        const Limits& limits = self(user).worker_->limits();
        Http2Fields& fields = target->head_received_ ? target->trailers_ : target->head_;
        fields.add(view_of(name, name_size), view_of(value, value_size), limits.header_bytes_max,
                   limits.header_count_max);
        if (fields.is_bomb(frame->hd.length))
            return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
        return fields.is_flood() ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
    }

    // A field that nghttp2 would leave out: the message is malformed (RFC 9113 section 8.2.1).
    static int header_refused(nghttp2_session*, const nghttp2_frame*, const std::uint8_t*, std::size_t,
                              const std::uint8_t*, std::size_t, std::uint8_t, void*)
    {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }

    static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user)
    {
        Http2Session& owner = self(user);
        if (frame->hd.type == NGHTTP2_GOAWAY) {
            owner.on_goaway();
            return 0;
        }
        if (frame->hd.type == NGHTTP2_HEADERS)
            owner.on_head_ended();
        Http2Stream* target = stream(session, frame->hd.stream_id);
        if (target == nullptr || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
            return 0;
        if (frame->hd.length != 0)
            owner.earn();
        if (frame->hd.type == NGHTTP2_HEADERS) {
            const std::string_view status = target->head_.pseudo(":status");
            if (!target->head_received_ && status.starts_with('1') && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
                target->head_.clear();  // an interim response
            else if (!std::exchange(target->head_received_, true))
                target->received_ = true;
            else
                target->has_trailers_ = true;
        }
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            target->end_received_ = target->received_ = true;
            target->is_head_alone_ = frame->hd.type == NGHTTP2_HEADERS && !target->has_trailers_;
        }
        owner.touch(*target);
        return 0;
    }

    static int frame_refused(nghttp2_session* session, const nghttp2_frame* frame, int error, void* user)
    {
        if (Http2Stream* target = stream(session, frame->hd.stream_id); target != nullptr)
            target->refused_ = true;
        if (error == NGHTTP2_ERR_REFUSED_STREAM)
            self(user).worker_->hit(Limit::Http2Streams);
        self(user).pay();
        if (frame->hd.type == NGHTTP2_HEADERS)
            self(user).on_head_ended();
        return 0;
    }

    static int data_received(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                             std::size_t size, void* user)
    {
        Http2Stream* target = stream(session, id);
        if (target == nullptr) {
            nghttp2_session_consume_connection(session, size);
            return 0;
        }
        target->data_ += view_of(data, size);
        target->received_ = true;
        self(user).touch(*target);
        return 0;
    }

    static int stream_closed(nghttp2_session* session, std::int32_t id, std::uint32_t error_code, void* user)
    {
        Http2Stream* target = stream(session, id);
        if (target == nullptr)
            return 0;
        Http2Session& owner = self(user);
        (target->reset_sent_ ? owner.reset_by_us_ : owner.ended_by_peer_).add(id);
        target->closed_ = true;
        target->close_error_ = error_code;
        owner.touch(*target);
        return 0;
    }

    static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user)
    {
        if (frame->hd.type == NGHTTP2_GOAWAY && (frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM ||
                                                 frame->goaway.error_code == NGHTTP2_INTERNAL_ERROR))
            self(user).worker_->hit(Limit::Http2Flood);
        Http2Stream* target = stream(session, frame->hd.stream_id);
        if (target != nullptr && frame->hd.type == NGHTTP2_RST_STREAM)
            target->reset_sent_ = true;
        const bool is_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
        if (is_message)
            self(user).earn();
        const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && is_message;
        if (target == nullptr || !ends)
            return 0;
        target->end_sent_ = true;
        // A whole response before the whole request: the client need not send the rest (RFC 9113 section 8.1).
        if (nghttp2_session_check_server_session(session) != 0 && !target->end_received_)
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
        return 0;
    }

    static nghttp2_ssize read_output(nghttp2_session* session, std::int32_t id, std::uint8_t*, std::size_t length,
                                     std::uint32_t* flags, nghttp2_data_source* source, void*)
    {
        auto& from = *static_cast<Http2Stream*>(source->ptr);
        const std::size_t count = std::min(length, from.out_.size());
        const bool is_end = from.out_end_ && count == from.out_.size();
        if (count == 0 && !is_end)
            return NGHTTP2_ERR_DEFERRED;
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        if (!is_end)
            return static_cast<nghttp2_ssize>(count);
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (!from.out_trailers_.empty()) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            std::vector<nghttp2_nv> fields;
            for (const auto& [name, value] : from.out_trailers_)
                fields.push_back(nv_of(name, value));
            nghttp2_submit_trailer(session, id, fields.data(), fields.size());
        }
        return static_cast<nghttp2_ssize>(count);
    }

    static int send_output(nghttp2_session*, nghttp2_frame*, const std::uint8_t* frame_head, std::size_t length,
                           nghttp2_data_source* source, void* user)
    {
        constexpr std::size_t kFrameHeadBytes = 9;
        Http2Session& owner = self(user);
        if (owner.out_.size() >= kOutputMax)
            return NGHTTP2_ERR_WOULDBLOCK;
        auto& from = *static_cast<Http2Stream*>(source->ptr);
        owner.out_ += view_of(frame_head, kFrameHeadBytes);
        owner.out_ += from.out_.view().substr(0, length);
        from.out_.consume(length);
        if (from.out_.empty() && std::exchange(from.out_due_, false) && !from.out_end_) {
            from.taken_ = true;
            owner.touch(from);
        }
        return 0;
    }

    static nghttp2_session_callbacks* make()
    {
        nghttp2_session_callbacks* all = nullptr;
        nghttp2_session_callbacks_new(&all);
        nghttp2_session_callbacks_set_on_begin_headers_callback(all, begin_headers);
        nghttp2_session_callbacks_set_on_begin_frame_callback(all, begin_frame);
        nghttp2_session_callbacks_set_on_header_callback(all, header);
        nghttp2_session_callbacks_set_on_invalid_header_callback(all, header_refused);
        nghttp2_session_callbacks_set_on_frame_recv_callback(all, frame_received);
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(all, frame_refused);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, data_received);
        nghttp2_session_callbacks_set_on_stream_close_callback(all, stream_closed);
        nghttp2_session_callbacks_set_on_frame_send_callback(all, frame_sent);
        nghttp2_session_callbacks_set_send_data_callback(all, send_output);
        return all;
    }
};

namespace {

nghttp2_option* make_options(Http2Session::Side side)
{
    nghttp2_option* options = nullptr;
    nghttp2_option_new(&options);
    // Every frame on its way to a stream that we reset counts as odd: one client that gives downloads up would end the
    // connection that the others share.
    constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 32;
    if (side == Http2Session::Side::Client)
        nghttp2_option_set_glitch_rate_limit(options, kUnlimited, kUnlimited);
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_peer_max_concurrent_streams(options, kStreamsMax);
    nghttp2_option_set_max_settings(options, kSettingsMax);
    nghttp2_option_set_max_continuations(options, kContinuationsMax);
    return options;
}

nghttp2_data_provider2 provider_of(Http2Stream& stream)
{
    return {.source = {.ptr = &stream}, .read_callback = Http2Callbacks::read_output};
}

}  // namespace

Http2Session::Http2Session(Worker& worker, Side side, std::unique_ptr<Stream> stream)
    : worker_(&worker),
      stream_(std::move(stream)),
      control_frames_(kControlFramesMax, kControlFramesPerSecond, worker.loop().now_ms()),
      is_proven_(side == Side::Client)
{
    static nghttp2_session_callbacks* const callbacks = Http2Callbacks::make();
    static nghttp2_option* const server_options = make_options(Side::Server);
    static nghttp2_option* const client_options = make_options(Side::Client);
    stream_->set_user(this);
    const bool is_server = side == Side::Server;
    if (is_server)
        nghttp2_session_server_new2(&session_, callbacks, this, server_options);
    else
        nghttp2_session_client_new2(&session_, callbacks, this, client_options);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, is_server ? kStreamsMax : 0},
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
    streams_[id] = std::move(stream);
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

// A client that mostly gives up what it asks for is read from a hundred times a second. One that asked for nothing yet
// gets as little of the turn: who floods comes back in ever new connections.
void Http2Session::receive_more()
{
    constexpr std::size_t kResetsMax = 8;
    constexpr std::uint32_t kPauseMs = 10;
    if (resets_ > kResetsMax)
        return worker_->loop().arm(pause_, kPauseMs);
    receive(is_proven_ ? Amount::Usual : Amount::Little);
}

void Http2Session::on_stream_data(int result, Buffer buffer)
{
    if (result <= 0)
        return on_over();
    resets_ = 0;
    feed(buffer.view());
    buffer.reset();
    receive_more();
}

void Http2Session::feed(std::string_view bytes)
{
    const auto used =
        nghttp2_session_mem_recv2(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    dispatch();
    if (used == NGHTTP2_ERR_FLOODED || used == NGHTTP2_ERR_TOO_MANY_SETTINGS ||
        used == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
        worker_->hit(Limit::Http2Flood);
    if (used < 0)
        return on_over();  // not even a GOAWAY can be made: out of memory, a flood, or no preface
    worker_->flush_soon(*this);
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
        streams_.erase(stream.id_);
        on_stream_count();
    }
    due_.clear();
    dispatching_ = false;
}

void Http2Session::flush()
{
    if (over_ || stream_->sending())
        return;
    out_.clear();
    while (out_.size() < kOutputMax) {
        const std::uint8_t* data = nullptr;
        const auto count = nghttp2_session_mem_send2(session_, &data);
        if (count < 0)
            return on_over();
        if (count == 0)
            break;
        out_ += view_of(data, static_cast<std::size_t>(count));
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
    for (const auto& [id, stream] : streams_) {
        if (!std::exchange(stream->closed_, true))
            stream->close_error_ = NGHTTP2_INTERNAL_ERROR;
        static_cast<void>(stream->on_closed());
    }
}

void Http2Session::submit_continue(Http2Stream& stream)
{
    const nghttp2_nv field = nv_of(":status", "100");
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, &field, 1, nullptr);
    worker_->flush_soon(*this);
}

void Http2Session::submit_response(Http2Stream& stream, const http1::ResponseHead& head,
                                   const model::HeaderModifier* modifier, bool end)
{
    std::vector<nghttp2_nv> fields;
    fields.reserve(head.header_count + 2U);
    const std::string status = std::to_string(head.status);
    const std::string length = std::to_string(head.content_length);
    fields.push_back(nv_of(":status", status));
    const ResponseFilter filter(head, modifier);
    std::size_t name_bytes = 0;
    for (const http1::Header& header : std::span(head.headers, head.header_count))
        name_bytes += header.name.size();
    filter.add_own([&](std::string_view name, std::string_view) { name_bytes += name.size(); });
    std::string names;
    names.reserve(name_bytes);  // views into it must stay
    const auto add = [&](std::string_view name, std::string_view value) {
        const std::size_t at = names.size();
        for (const char c : name)
            names += http1::to_lower(c);
        fields.push_back(nv_of(std::string_view(names).substr(at), value));
    };
    for (const http1::Header& header : std::span(head.headers, head.header_count)) {
        if (filter.passes(header))
            add(header.name, header.value);
    }
    filter.add_own(add);
    if (head.framing == http1::Framing::Length)
        fields.push_back(nv_of("content-length", length));
    const nghttp2_data_provider2 body = provider_of(stream);
    nghttp2_submit_response2(session_, stream.id_, fields.data(), fields.size(), end ? nullptr : &body);
    worker_->flush_soon(*this);
}

std::int32_t Http2Session::submit_request(Http2Stream& stream, const ForwardedHead& head, bool end)
{
    std::vector<nghttp2_nv> fields;
    fields.reserve(head.fields.size() + 4);
    fields.push_back(nv_of(":method", head.method));
    fields.push_back(nv_of(":scheme", stream_->tls() == nullptr ? "http" : "https"));
    fields.push_back(nv_of(":authority", head.authority));
    fields.push_back(nv_of(":path", head.path));
    for (const ForwardedHead::Field& field : head.fields)
        fields.push_back(nv_of(head.name(field), head.value(field)));
    const nghttp2_data_provider2 body = provider_of(stream);
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
