// SPDX-License-Identifier: Apache-2.0
// Bytes both ways between a client and a backend: a relayed TCPRoute connection, or HTTP after a 101. Each direction
// reads only when its last send is done (back-pressure), and a half-close is passed on.
#pragma once

#include <string>

#include "agent/proxy/worker.h"

namespace sluice::proxy {

class Tunnel final : public Connection {
public:
    // Relays `client` to a backend of `listener`, which it connects to first.
    Tunnel(Worker& worker, UniqueFd client, const plan::L4Listener& listener, SnapshotPtr snapshot);
    // Both ends are connected. `to_client` and `to_backend` were received already.
    Tunnel(Worker& worker, UniqueFd client, UniqueFd backend, std::string to_client, std::string to_backend,
           ListenerCounters& counters);

    ~Tunnel() override
    {
        worker_->loop().close(std::move(client_));
        worker_->loop().close(std::move(backend_));
    }
    void start();
    void close() override;
    [[nodiscard]] bool quiet() const override;
    void drain() override {}  // goes on until the deadline

private:
    struct Direction {
        UniqueFd* from;
        UniqueFd* to;
        Buffer buffer;
        std::string first;  // sent before anything is read
        ListenerCounters::Count* bytes;
        bool done = false;
    };

    void connect();
    void refuse();
    void pump(Direction& direction, Completion& recv, Completion& send, int result, Buffer buffer);
    void sent(Direction& direction, Completion& recv, int result);
    void send_first(Direction& direction, Completion& recv, Completion& send);
    void end_direction(Direction& direction);
    void on_connected(int result, Buffer buffer);
    void on_client_data(int result, Buffer buffer)
    {
        pump(up_, client_recv_, backend_send_, result, std::move(buffer));
    }
    void on_backend_sent(int result, Buffer) { sent(up_, client_recv_, result); }
    void on_backend_data(int result, Buffer buffer)
    {
        pump(down_, backend_recv_, client_send_, result, std::move(buffer));
    }
    void on_client_sent(int result, Buffer) { sent(down_, backend_recv_, result); }
    void on_timeout();

    Worker* worker_;
    SnapshotPtr snapshot_;
    const plan::L4Listener* listener_ = nullptr;
    ListenerCounters* counters_;
    UniqueFd client_;
    UniqueFd backend_;
    Direction up_;
    Direction down_;
    std::vector<SocketAddress> tried_;  // endpoints that did not answer
    bool closing_ = false;
    BoundCompletion<Tunnel> connect_{*this, &Tunnel::on_connected};
    BoundCompletion<Tunnel> client_recv_{*this, &Tunnel::on_client_data};
    BoundCompletion<Tunnel> client_send_{*this, &Tunnel::on_client_sent};
    BoundCompletion<Tunnel> backend_recv_{*this, &Tunnel::on_backend_data};
    BoundCompletion<Tunnel> backend_send_{*this, &Tunnel::on_backend_sent};
    BoundTimer<Tunnel> timer_{*this, &Tunnel::on_timeout};
};

}  // namespace sluice::proxy
