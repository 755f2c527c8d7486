// SPDX-License-Identifier: Apache-2.0
// One HTTP/2 connection (RFC 9113), of either side: nghttp2 for frames, HPACK and flow control, a Stream for the bytes.
// What comes in during a read is handed to the streams after it, so that a head, its body and its end are seen at once;
// what goes out is gathered and sent at the turn's end. Received data is credited to the peer only when it was passed
// on: what is held is bounded by the windows.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "agent/proxy/bytes.h"
#include "agent/proxy/http2_fields.h"
#include "agent/proxy/stream.h"
#include "agent/proxy/token_bucket.h"
#include "agent/proxy/worker.h"

struct nghttp2_session;

namespace sluice::proxy {

class Http2Session;

// The error codes used here (RFC 9113 section 7).
enum class Http2Error : std::uint32_t { None = 0, Internal = 2, RefusedStream = 7, Cancel = 8 };

// A stream and what waits in it. Owned by its session.
class Http2Stream {
public:
    virtual ~Http2Stream() = default;
    Http2Stream(const Http2Stream&) = delete;
    Http2Stream& operator=(const Http2Stream&) = delete;

    virtual void on_received() = 0;  // any of the received parts has grown
    virtual void on_interim() {}     // `head_` is that of an interim response, and cleared after the call
    virtual void on_taken() = 0;     // what `send` was given is framed
    // The stream is over; `close_error_` says why. False: what was received is still wanted; then `finish` comes later,
    // and this once more.
    virtual bool on_closed() = 0;

protected:
    explicit Http2Stream(Http2Session& session) : session_(&session) {}
    // From the framing's side; the bytes wait for the windows. One at a time.
    void send(Bytes data, bool end);
    void send_trailers(std::span<const http1::Header> trailers);
    void reset(Http2Error error);
    void report_taken();  // on_taken soon, for a head that was all there is yet
    void finish();
    [[nodiscard]] bool is_closed() const { return closed_; }
    // The peer has given it up, or what it sent is not valid: nothing of it is to be acted on.
    [[nodiscard]] bool is_void() const { return closed_ || refused_; }
    // `count` received bytes were passed on: the peer may send as many more.
    void credit(std::size_t count);

    Http2Session* session_;
    std::int32_t id_ = -1;  // none yet
    Http2Fields head_;
    bool head_received_ = false;
    std::string data_;  // received
    Http2Fields trailers_;
    bool has_trailers_ = false;
    bool end_received_ = false;
    bool is_head_alone_ = false;  // ended by the frame of the head
    bool end_sent_ = false;
    std::uint32_t close_error_ = 0;

private:
    friend class Http2Session;
    friend struct Http2Callbacks;
    std::size_t place_ = 0;  // among the session's
    Bytes out_;
    std::vector<std::pair<std::string, std::string>> out_trailers_;
    bool out_end_ = false;
    bool out_due_ = false;  // on_taken is owed
    bool taken_ = false;
    bool touched_ = false;
    bool received_ = false;
    bool closed_ = false;
    bool refused_ = false;  // a reset of ours is on its way
    bool reset_sent_ = false;
};

class Http2Session : protected StreamUser, public Flushable {
public:
    enum class Side : std::uint8_t { Server, Client };

    // `end`: no body and no trailers follow.
    void submit_response(Http2Stream& stream, const http1::ResponseHead& head, const model::HeaderModifier* modifier,
                         bool end);
    void submit_interim(Http2Stream& stream, const http1::ResponseHead& head);
    // The stream's id; negative: none is left, or the peer takes no more.
    [[nodiscard]] std::int32_t submit_request(Http2Stream& stream, const ForwardedHead& head, bool end);

protected:
    Http2Session(Worker& worker, Side side, std::unique_ptr<Stream> stream);
    ~Http2Session() override;

    // A peer's stream begins; only asked of a server. Owned by the session from there.
    virtual std::unique_ptr<Http2Stream> make_stream() { return nullptr; }
    virtual void on_head_begun() {}  // until the next on_head_ended nothing else can come
    virtual void on_head_ended() {}
    virtual void on_stream_count() {}  // streams came or went
    virtual void on_goaway() {}
    // The connection is of no use any more: ended, failed, or its last stream is over after a GOAWAY.
    virtual void on_over() = 0;

    void feed(Bytes bytes);  // and receives more
    void flush() override;
    void adopt(std::unique_ptr<Http2Stream> stream, std::int32_t id);
    void close_streams();  // on_closed for all that are left; they live until the session ends
    void on_stream_data(int result, Buffer buffer) override;
    void on_stream_sent(int result) override;
    [[nodiscard]] std::size_t stream_count() const { return streams_.size(); }

    Worker* worker_;
    std::unique_ptr<Stream> stream_;
    nghttp2_session* session_ = nullptr;
    std::vector<std::unique_ptr<Http2Stream>> streams_;
    bool over_ = false;

private:
    friend class Http2Stream;
    friend struct Http2Callbacks;
    static constexpr std::size_t kResetsMax = 8;
    void touch(Http2Stream& stream);
    void dispatch();
    void drop(const Http2Stream& stream);
    void pay();  // for a frame that is of no use
    void earn();
    void end_head();
    void resume();
    // The peer mostly gives up what it asks for.
    [[nodiscard]] bool is_tiresome() const { return resets_ > kResetsMax; }

    // Streams that ended lately, in two rings: frames on those that the peer ended are an error of the connection, on
    // those that we reset they were on their way (RFC 9113 section 5.1).
    class Recent {
    public:
        void add(std::int32_t id) { ids_[next_++ % ids_.size()] = id; }
        [[nodiscard]] bool has(std::int32_t id) const { return std::ranges::find(ids_, id) != ids_.end(); }

    private:
        std::array<std::int32_t, 128> ids_{};
        std::size_t next_ = 0;
    };
    Recent ended_by_peer_;
    Recent reset_by_us_;

    void on_write_timeout()
    {
        worker_->hit(Limit::WriteTimeout);
        on_over();
    }

    BoundTimer<Http2Session> write_timer_{*this, &Http2Session::on_write_timeout};  // the peer reads nothing
    std::string out_;  // being sent while the stream is sending
    std::vector<Http2Stream*> due_;
    Http2Stream* arriving_ = nullptr;  // a head of it is under way; nothing else can come before its end
    TokenBucket control_frames_;
    BoundTimer<Http2Session> pause_{*this, &Http2Session::resume};
    Bytes held_;              // received, for after the pause
    std::size_t resets_ = 0;  // by the peer, in this read or since the pause
    bool is_proven_;          // a whole frame of a message has come or gone; a backend always is
    bool dispatching_ = false;
};

}  // namespace sluice::proxy
