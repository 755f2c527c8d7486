// SPDX-License-Identifier: Apache-2.0
// One end of an HTTP/2 connection that a test drives, as client or as server: nghttp2 on a Peer. Nothing happens but in
// `pump_until`, which has a deadline.
#pragma once

#include <nghttp2/nghttp2.h>

#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "tests/harness/proxy_fixture.h"

namespace sluice::test {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Message {
    std::vector<Fields> interims;  // heads that came before `head`
    Fields head;
    Fields trailers;
    std::string body;
    bool has_head = false;
    bool head_ended = false;  // by its own frame
    bool ended = false;
    bool closed = false;
    std::uint32_t error = 0;

    [[nodiscard]] std::string get(const std::string& name) const
    {
        for (const Fields* fields : {&head, &trailers}) {
            for (const auto& [key, value] : *fields) {
                if (key == name)
                    return value;
            }
        }
        return "";
    }
};

class Http2Peer {
public:
    enum class Side { Client, Server };
    Http2Peer(Peer peer, Side side, std::uint32_t stream_window = 65'535) : peer_(std::move(peer))
    {
        nghttp2_session_callbacks* calls = nullptr;
        nghttp2_session_callbacks_new(&calls);
        nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
        if (side == Side::Client)
            nghttp2_session_client_new(&session_, calls, this);
        else
            nghttp2_session_server_new(&session_, calls, this);
        nghttp2_session_callbacks_del(calls);
        const nghttp2_settings_entry window{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window};
        nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &window, 1);
        if (stream_window > 65'535)
            nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                                  static_cast<std::int32_t>(stream_window));
    }
    Http2Peer(const Http2Peer&) = delete;
    Http2Peer& operator=(const Http2Peer&) = delete;
    ~Http2Peer() { nghttp2_session_del(session_); }

    std::int32_t request(const Fields& head, bool end = true)
    {
        const auto fields = to_nv(head);
        const auto provider = body_provider();
        const std::int32_t id = nghttp2_submit_request2(session_, nullptr, fields.data(), fields.size(),
                                                        end ? nullptr : &provider, nullptr);
        write();
        return id;
    }
    static Fields get(const std::string& path, Fields more = {})
    {
        Fields head{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", path}};
        head.insert(head.end(), more.begin(), more.end());
        return head;
    }
    void respond(std::int32_t id, const Fields& head, bool end = true)
    {
        const auto fields = to_nv(head);
        const auto provider = body_provider();
        nghttp2_submit_response2(session_, id, fields.data(), fields.size(), end ? nullptr : &provider);
        write();
    }
    // An interim response.
    void inform(std::int32_t id, const Fields& head)
    {
        const auto fields = to_nv(head);
        nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, fields.data(), fields.size(), nullptr);
        write();
    }
    // Head, body and end in one write.
    void respond_whole(std::int32_t id, const Fields& head, const std::string& body)
    {
        out_[id] = {body, true, {}};
        respond(id, head, body.empty());
    }
    // After a head that did not end.
    void send(std::int32_t id, const std::string& data, bool end, const Fields& trailers = {})
    {
        Out& out = out_[id];
        out.data += data;
        out.end = end;
        out.trailers = trailers;
        nghttp2_session_resume_data(session_, id);
        write();
    }
    void reset(std::int32_t id, std::uint32_t error)
    {
        nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, error);
        write();
    }
    void ping()
    {
        nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
        write();
    }
    // How many streams the other side may have open.
    void allow_streams(std::uint32_t count)
    {
        const nghttp2_settings_entry streams{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, count};
        nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &streams, 1);
        write();
    }
    void go_away(std::int32_t last_id)
    {
        nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_id, NGHTTP2_NO_ERROR, nullptr, 0);
        write();
    }
    Message& operator[](std::int32_t id) { return messages_[id]; }
    [[nodiscard]] bool went_away() const { return went_away_; }
    [[nodiscard]] bool is_closed() const { return closed_; }

    // Reads and answers frames until `done`; false: the deadline came, or the connection ended, before that. `other` is
    // the far end where both must move for it.
    bool pump_until(const std::function<bool()>& done, Http2Peer* other = nullptr)
    {
        const std::uint64_t deadline = monotonic_ms() + kWaitMs;
        while (!done()) {
            if (closed_ || monotonic_ms() > deadline)
                return false;
            pollfd fds[] = {{peer_.fd(), POLLIN, 0}, {other == nullptr ? -1 : other->peer_.fd(), POLLIN, 0}};
            ::poll(fds, 2, kWaitMs);
            if (fds[0].revents != 0)
                read();
            if (other != nullptr && fds[1].revents != 0)
                other->read();
        }
        return true;
    }
    Message& wait(std::int32_t id)
    {
        EXPECT_TRUE(pump_until([&] { return messages_[id].ended || messages_[id].closed; })) << "stream " << id;
        return messages_[id];
    }
    // A server's next request whose head is here.
    std::int32_t next_request()
    {
        EXPECT_TRUE(pump_until([&] { return !heads_.empty(); })) << "no request came";
        if (heads_.empty())
            return -1;
        const std::int32_t id = heads_.front();
        heads_.erase(heads_.begin());
        return id;
    }
    [[nodiscard]] const Peer& peer() const { return peer_; }

private:
    struct Out {
        std::string data;
        bool end = false;
        Fields trailers;
    };

    static std::vector<nghttp2_nv> to_nv(const Fields& fields)
    {
        std::vector<nghttp2_nv> result;
        const auto bytes = [](const std::string& text) {
            return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
        };
        for (const auto& [name, value] : fields)
            result.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
        return result;
    }
    static Http2Peer& self(void* user) { return *static_cast<Http2Peer*>(user); }
    static std::string text(const std::uint8_t* data, std::size_t size)
    {
        return {reinterpret_cast<const char*>(data), size};
    }
    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                         const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user)
    {
        Message& message = self(user).messages_[frame->hd.stream_id];
        (message.has_head ? message.trailers : message.head)
            .emplace_back(text(name, name_size), text(value, value_size));
        return 0;
    }
    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user)
    {
        Http2Peer& peer = self(user);
        peer.went_away_ |= frame->hd.type == NGHTTP2_GOAWAY;
        if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
            return 0;
        Message& message = peer.messages_[frame->hd.stream_id];
        const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (!message.has_head && message.get(":status").starts_with('1')) {
            message.interims.push_back(std::exchange(message.head, {}));
            return 0;
        }
        if (frame->hd.type == NGHTTP2_HEADERS && !std::exchange(message.has_head, true)) {
            peer.heads_.push_back(frame->hd.stream_id);
            message.head_ended = ends;
        }
        message.ended |= ends;
        return 0;
    }
    static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                       void* user)
    {
        self(user).messages_[id].body += text(data, size);
        return 0;
    }
    static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t error, void* user)
    {
        Message& message = self(user).messages_[id];
        message.closed = true;
        message.error = error;
        return 0;
    }
    static nghttp2_data_provider2 body_provider() { return {.source = {}, .read_callback = read_body}; }
    static nghttp2_ssize read_body(nghttp2_session* session, std::int32_t id, std::uint8_t* to, std::size_t size,
                                   std::uint32_t* flags, nghttp2_data_source*, void* user)
    {
        Out& out = self(user).out_[id];
        if (out.data.empty() && !out.end)
            return NGHTTP2_ERR_DEFERRED;
        const std::size_t count = std::min(size, out.data.size());
        out.data.copy(reinterpret_cast<char*>(to), count);
        out.data.erase(0, count);
        if (out.data.empty() && out.end) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            if (!out.trailers.empty()) {
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                const auto fields = to_nv(out.trailers);
                nghttp2_submit_trailer(session, id, fields.data(), fields.size());
            }
        }
        return static_cast<nghttp2_ssize>(count);
    }
    void read()
    {
        std::uint8_t part[16'384];
        const ssize_t count = ::recv(peer_.fd(), part, sizeof part, 0);
        closed_ = count <= 0 || nghttp2_session_mem_recv2(session_, part, static_cast<std::size_t>(count)) < 0;
        write();
    }
    void write()
    {
        const std::uint8_t* data = nullptr;
        std::string all;
        for (nghttp2_ssize count = 0; (count = nghttp2_session_mem_send2(session_, &data)) > 0;)
            all += text(data, static_cast<std::size_t>(count));
        if (!closed_ && !all.empty())
            closed_ = ::send(peer_.fd(), all.data(), all.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(all.size());
    }

    Peer peer_;
    nghttp2_session* session_ = nullptr;
    std::map<std::int32_t, Message> messages_;
    std::map<std::int32_t, Out> out_;
    std::vector<std::int32_t> heads_;
    bool went_away_ = false;
    bool closed_ = false;
};

/// One HTTP/2 client of the proxy.
class Http2ClientTest : public ProxyTest {
protected:
    /// `window`: of each stream, in bytes.
    void serve_client(plan::HttpRule rule, std::uint32_t window = 65'535)
    {
        client_.emplace(Peer::connect(serve(std::move(rule))), Http2Peer::Side::Client, window);
    }
    Http2Peer& client() { return *client_; }

private:
    std::optional<Http2Peer> client_;
};

}  // namespace sluice::test
