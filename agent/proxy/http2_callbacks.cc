// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/http2_callbacks.h"

#include <algorithm>
#include <utility>

namespace sluice::proxy {
namespace {

// Resets by the peer (rapid reset, CVE-2023-44487) and other odd frames: nghttp2's own limits, 1,000 and then 33 a
// second. Acknowledgements that the peer does not read: 1,000, nghttp2's too.
constexpr std::size_t kContinuationsMax = 8;
constexpr std::size_t kSettingsMax = 32;

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
        if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
            owner.arriving_ = stream(session, frame->hd.stream_id);
            return 0;
        }
        auto made = owner.make_stream();
        owner.arriving_ = made.get();
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
        if ((head->type != NGHTTP2_HEADERS && head->type != NGHTTP2_DATA) ||
            nghttp2_session_check_server_session(session) == 0 ||
            head->stream_id > nghttp2_session_get_last_proc_stream_id(session) ||
            nghttp2_session_find_stream(session, head->stream_id) != nullptr || owner.reset_by_us_.has(head->stream_id))
            return 0;
        const bool was_ended = owner.ended_by_peer_.has(head->stream_id);
        return nghttp2_session_terminate_session(session, was_ended ? NGHTTP2_STREAM_CLOSED : NGHTTP2_PROTOCOL_ERROR);
    }

    static int header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                      void* user)
    {
        Http2Session& owner = self(user);
        Http2Stream* target = owner.arriving_;
        if (target == nullptr)
            return 0;
        const Limits& limits = owner.worker_->limits();
        Http2Fields& fields = target->head_received_ ? target->trailers_ : target->head_;
        fields.add(http2_view(name, name_size), http2_view(value, value_size), limits.header_bytes_max,
                   limits.header_count_max);
        if (fields.is_bomb(frame->hd.length))
            return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
        if (fields.is_flood()) {
            owner.end_head();  // nghttp2 tells nothing more of it
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        return owner.is_tiresome() ? NGHTTP2_ERR_PAUSE : 0;
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
        if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
            return 0;
        const bool is_head = frame->hd.type == NGHTTP2_HEADERS;
        Http2Stream* target = is_head ? owner.arriving_ : stream(session, frame->hd.stream_id);
        if (is_head)
            owner.end_head();
        if (target == nullptr)
            return 0;
        if (frame->hd.length != 0)
            owner.earn();
        if (is_head) {
            const bool is_answer = frame->headers.cat != NGHTTP2_HCAT_REQUEST && !target->head_received_;
            if (is_answer && target->head_.pseudo(Pseudo::Status).starts_with('1') &&
                (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
                target->on_interim();
                target->head_.clear();
            } else if (!std::exchange(target->head_received_, true))
                target->received_ = true;
            else
                target->has_trailers_ = true;
        }
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            target->end_received_ = target->received_ = true;
            target->is_head_alone_ = is_head && !target->has_trailers_;
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
            self(user).end_head();
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
        target->data_ += http2_view(data, size);
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
        if (owner.arriving_ == target)
            owner.end_head();  // trailers that come too late
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
        if (frame->hd.type == NGHTTP2_RST_STREAM) {
            if (Http2Stream* target = stream(session, frame->hd.stream_id); target != nullptr)
                target->reset_sent_ = true;
            else
                self(user).reset_by_us_.add(frame->hd.stream_id);  // refused before it was a stream
            return 0;
        }
        if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
            return 0;
        self(user).earn();
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
            return 0;
        Http2Stream* target = stream(session, frame->hd.stream_id);
        if (target == nullptr)
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
                fields.push_back(http2_field(name, value));
            nghttp2_submit_trailer(session, id, fields.data(), fields.size());
        }
        return static_cast<nghttp2_ssize>(count);
    }

    static int send_output(nghttp2_session*, nghttp2_frame*, const std::uint8_t* frame_head, std::size_t length,
                           nghttp2_data_source* source, void* user)
    {
        constexpr std::size_t kFrameHeadBytes = 9;
        Http2Session& owner = self(user);
        if (owner.out_.size() >= kHttp2OutputMax)
            return NGHTTP2_ERR_WOULDBLOCK;
        auto& from = *static_cast<Http2Stream*>(source->ptr);
        owner.out_ += http2_view(frame_head, kFrameHeadBytes);
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
    nghttp2_option_set_peer_max_concurrent_streams(options, kHttp2StreamsMax);
    nghttp2_option_set_max_settings(options, kSettingsMax);
    nghttp2_option_set_max_continuations(options, kContinuationsMax);
    return options;
}

}  // namespace

const nghttp2_session_callbacks* http2_callbacks()
{
    static const nghttp2_session_callbacks* const callbacks = Http2Callbacks::make();
    return callbacks;
}

const nghttp2_option* http2_options(Http2Session::Side side)
{
    static const nghttp2_option* const server = make_options(Http2Session::Side::Server);
    static const nghttp2_option* const client = make_options(Http2Session::Side::Client);
    return side == Http2Session::Side::Server ? server : client;
}

nghttp2_data_provider2 http2_output_of(Http2Stream& stream)
{
    return {.source = {.ptr = &stream}, .read_callback = Http2Callbacks::read_output};
}

nghttp2_nv http2_field(std::string_view name, std::string_view value)
{
    // nghttp2 takes no const pointers.
    return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
            reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
            NGHTTP2_NV_FLAG_NONE};
}

nghttp2_nv http2_field_of_literal(std::string_view name, std::string_view value)
{
    nghttp2_nv field = http2_field(name, value);
    field.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME;
    return field;
}

}  // namespace sluice::proxy
