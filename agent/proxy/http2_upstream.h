// SPDX-License-Identifier: Apache-2.0
// An HTTP/2 connection to a backend, with prior knowledge: many requests at once, each a stream.
#pragma once

#include "agent/proxy/http2_session.h"
#include "agent/proxy/upstream_connection.h"

namespace sluice::proxy {

class Http2Upstream final : public UpstreamConnection, private Http2Session {
public:
    Http2Upstream(Worker& worker, UpstreamPool::Endpoint& endpoint, std::unique_ptr<Stream> stream);
    ~Http2Upstream() override;
    void connect(const SocketAddress& to);
    // A stream for a request; `user` hears when the connection is ready, if it is not yet.
    [[nodiscard]] Upstream& open(UpstreamUser& user);
    [[nodiscard]] bool has_room() const;  // for another stream
    [[nodiscard]] bool has_served() const { return served_; }
    [[nodiscard]] bool is_unused() const { return connected_ && !over_ && users_ == 0; }
    void end() override;
    // Whole responses that their users still take piece by piece keep it, too.
    [[nodiscard]] bool quiet() const override { return stream_->quiet() && users_ == 0; }

private:
    class Call;
    friend class Call;
    using Http2Session::worker_;

    // Gives the call its stream and sends its head. False: no stream can be had here any more.
    [[nodiscard]] bool start(Call& call, const ForwardedHead& head, bool is_whole);
    void drop_waiting(Call& call);
    void flush() override;
    void on_stream_connected(int result) override;
    void on_stream_count() override;
    void on_goaway() override { is_leaving_ = true; }
    void on_over() override;
    void on_timeout();

    std::vector<std::unique_ptr<Call>> waiting_;  // without a stream yet
    std::vector<std::unique_ptr<Call>> dropped_;  // out of these, until the turn's end
    // Calls that were not released. The streams of others may be left: a backend that allows none now keeps them for
    // ever.
    std::size_t users_ = 0;
    bool connected_ = false;
    bool is_leaving_ = false;  // no new streams
    bool served_ = false;
    BoundTimer<Http2Upstream> timer_{*this, &Http2Upstream::on_timeout};  // connecting, or without users
};

}  // namespace sluice::proxy
