// SPDX-License-Identifier: Apache-2.0
// One HTTP/2 client connection: every stream is a request with an Exchange of its own.
#pragma once

#include "agent/proxy/http2_session.h"

namespace sluice::proxy {

class Http2Connection final : public Connection, private Http2Session {
public:
    // `received`: what came before it was known to be HTTP/2.
    Http2Connection(Worker& worker, std::unique_ptr<Stream> stream, const Arrival& from, Bytes received);
    void start();
    void close() override;
    [[nodiscard]] bool quiet() const override { return stream_->quiet(); }
    void drain(Arrivals arrivals) override;

private:
    class Request;
    friend class Request;

    std::unique_ptr<Http2Stream> make_stream() override;
    void on_head_begun() override;
    void on_head_ended() override
    {
        is_head_under_way_ = false;
        on_stream_count();
    }
    void on_stream_count() override;
    void on_over() override { end_gently(); }
    void on_stream_data(int result, Buffer buffer) override;
    void end_gently();
    void on_timeout();

    Arrival from_;
    Bytes received_;
    bool is_head_under_way_ = false;  // begun, and its last frame not here: the header timeout runs
    bool had_stream_ = false;
    bool is_counted_ = false;   // as a connection of a listener
    bool is_draining_ = false;  // the client was told; the last stream id follows
    bool is_drained_ = false;   // and did
    std::size_t lingered_ = 0;  // bytes received since it is closing
    bool is_closing_ = false;   // only waits for the client to have read all
    BoundTimer<Http2Connection> timer_{*this, &Http2Connection::on_timeout};
};

}  // namespace sluice::proxy
