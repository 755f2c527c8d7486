// SPDX-License-Identifier: Apache-2.0
// Bytes both ways between a client and a backend: a relayed TCPRoute connection, or HTTP after a 101. Each direction
// reads only when its last send is done (back-pressure), and a half-close is passed on. Whatever else ends it, an error
// or the idle time, resets both sides: what is cut short must not look whole.
#pragma once

#include <vector>

#include "agent/proxy/bytes.h"
#include "agent/proxy/stream.h"
#include "agent/proxy/worker.h"

namespace sluice::proxy {

class Tunnel final : public Connection {
public:
    // Relays `client` to one of `backends`, which it connects to first. `snapshot` owns the backends.
    // `first` was received from the client already. Where `client` speaks TLS with us, so is a backend with TLS spoken
    // to; all other bytes are passed on as they are.
    Tunnel(Worker& worker, std::unique_ptr<Stream> client, Bytes first, const std::vector<plan::Backend>& backends,
           SnapshotPtr snapshot, ListenerCounters& counters);
    // Both ends are connected. `to_client` and `to_backend` were received already.
    Tunnel(Worker& worker, std::unique_ptr<Stream> client, std::unique_ptr<Stream> backend, Bytes to_client,
           Bytes to_backend, ListenerCounters& counters);

    void start();
    void close() override;
    [[nodiscard]] bool quiet() const override;
    void drain(Arrivals) override {}  // goes on until the deadline

private:
    // One end: what it reads goes to the other end.
    struct End final : StreamUser {
        explicit End(Tunnel& owner) : tunnel(&owner) {}
        void on_stream_connected(int result) override { tunnel->on_connected(result); }
        void on_stream_data(int result, Buffer buffer) override { tunnel->on_data(*this, result, std::move(buffer)); }
        void on_stream_sent(int result) override { tunnel->on_sent(*this, result); }
        Tunnel* tunnel;
        std::unique_ptr<Stream> stream;
        Bytes out;            // being sent to this end
        Bytes next;           // came meanwhile: a receive was under way when the tunnel took over
        bool ended = false;   // it sends no more
        bool passed = false;  // and the other end has all of it
    };

    void connect();
    void refuse();
    void relay();
    [[nodiscard]] End& other(End& end) { return &end == &client_ ? backend_ : client_; }
    void send(End& to, Bytes bytes);
    void pass_end(End& from);
    void on_connected(int result);
    void on_data(End& from, int result, Buffer buffer);
    void on_sent(End& to, int result);
    void on_timeout();

    Worker* worker_;
    SnapshotPtr snapshot_;
    const std::vector<plan::Backend>* backends_ = nullptr;
    ListenerCounters* counters_;
    End client_{*this};
    End backend_{*this};
    std::vector<std::unique_ptr<Stream>> failed_;  // connects that failed, until they are quiet
    std::vector<SocketAddress> tried_;
    bool closing_ = false;
    bool connecting_ = false;
    BoundTimer<Tunnel> timer_{*this, &Tunnel::on_timeout};
};

}  // namespace sluice::proxy
