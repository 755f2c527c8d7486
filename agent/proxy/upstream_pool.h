// SPDX-License-Identifier: Apache-2.0
// Connections to backends: one pool a worker, keyed by endpoint, the most recently used first. An idle connection keeps
// a receive pending, so that a backend that closes it is noticed at once.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "agent/proxy/bound.h"
#include "agent/proxy/input.h"

namespace sluice::proxy {

class Upstream;
class Worker;

// Who uses a connection at the moment.
class UpstreamUser {
public:
    virtual void on_upstream_connected(int result) = 0;
    virtual void on_upstream_data(int result, Buffer buffer) = 0;
    virtual void on_upstream_sent(int result) = 0;
    // A send whose connection was discarded is over: the bytes it was given need not stay any more.
    virtual void on_orphan_sent() = 0;

protected:
    ~UpstreamUser() = default;
};

class Upstream {
public:
    Upstream(Worker& worker, const SocketAddress& endpoint);
    void connect(UniqueFd fd);
    void recv();
    void send(std::span<const iovec> spans);
    [[nodiscard]] bool sending() const { return send_.pending(); }
    [[nodiscard]] bool quiet() const { return !recv_.pending() && !send_.pending() && !connect_.pending(); }

    const SocketAddress endpoint;
    UpstreamUser* user = nullptr;    // none: idle in the pool, or ending
    UpstreamUser* sender = nullptr;  // whose bytes the send under way points at, also after a discard
    bool reused = false;             // has served a request before
    UniqueFd fd;

private:
    friend class UpstreamPool;
    void on_connect(int result, Buffer buffer);
    void on_recv(int result, Buffer buffer);
    void on_send(int result, Buffer buffer);
    void on_timeout();

    Worker* worker_;
    BoundCompletion<Upstream> connect_{*this, &Upstream::on_connect};
    BoundCompletion<Upstream> recv_{*this, &Upstream::on_recv};
    BoundCompletion<Upstream> send_{*this, &Upstream::on_send};
    BoundTimer<Upstream> timer_{*this, &Upstream::on_timeout};  // connecting, or idle
    bool timed_out_ = false;
};

class UpstreamPool {
public:
    explicit UpstreamPool(Worker& worker) : worker_(&worker) {}
    ~UpstreamPool();

    // A connection that idles (`reused` is set: send at once), or a new one that is connecting and will report to
    // `user`. `fresh` asks for a new one. nullptr: no descriptor could be had.
    [[nodiscard]] Upstream* acquire(const SocketAddress& endpoint, UpstreamUser& user, bool fresh);
    void release(Upstream& upstream);  // fit for another request
    void discard(Upstream& upstream);  // closes it
    [[nodiscard]] std::uint32_t in_flight(const SocketAddress& endpoint) const;
    UniqueFd detach(Upstream& upstream);  // for a tunnel; nothing may be pending
    void bury();
    [[nodiscard]] std::size_t size() const { return all_.size(); }

private:
    struct Endpoint {
        std::vector<Upstream*> idle;
        std::uint32_t in_flight = 0;
    };
    Worker* worker_;
    std::map<SocketAddress, Endpoint> endpoints_;
    std::map<Upstream*, std::unique_ptr<Upstream>> all_;
    std::vector<Upstream*> ending_;
    std::size_t idle_ = 0;  // of all endpoints
    friend class Upstream;
    void on_idle_event(Upstream& upstream);
};

}  // namespace sluice::proxy
