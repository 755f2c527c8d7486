// SPDX-License-Identifier: Apache-2.0
// A client connection on a TLS port until it is known what it is: reads the server name where routes pass TLS through,
// takes part in the handshake elsewhere, and hands the connection on: to a Tunnel, or to HTTP/1 or HTTP/2 by ALPN.
#pragma once

#include "agent/proxy/bytes.h"
#include "agent/proxy/stream.h"
#include "agent/proxy/worker.h"

namespace sluice::proxy {

class TlsConnection final : public Connection, private StreamUser {
public:
    TlsConnection(Worker& worker, std::unique_ptr<Stream> stream, const SocketAddress& local,
                  const SocketAddress& peer);
    void start();
    void close() override;
    [[nodiscard]] bool quiet() const override { return stream_ == nullptr || stream_->quiet(); }
    void drain(Arrivals) override {}  // the handshake's time is short

private:
    void on_stream_connected(int result) override;
    void on_stream_data(int result, Buffer buffer) override;
    void on_stream_sent(int) override {}
    void choose(const std::string& server_name);
    void accept(const std::shared_ptr<const TlsServerContext>& context);
    void tunnel(Bytes first);
    template <class Kind, class... Arguments> void hand_on(Arguments&&... arguments);

    Worker* worker_;
    std::unique_ptr<Stream> stream_;
    SocketAddress local_;
    SocketAddress peer_;
    SnapshotPtr snapshot_;
    Snapshot::Target target_;
    const plan::TlsHost* host_ = nullptr;  // its route takes the bytes; none: HTTPS
    Bytes in_;                             // the ClientHello as far as it is here
    void on_timeout();
    BoundTimer<TlsConnection> timer_{*this, &TlsConnection::on_timeout};
};

}  // namespace sluice::proxy
