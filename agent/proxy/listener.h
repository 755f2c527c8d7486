// SPDX-License-Identifier: Apache-2.0
// A listening socket of one worker: hands accepted connections on, and pauses while the worker is full or descriptors
// have run out. UdpListener is its datagram twin (udp_relay.h).
#pragma once

#include "agent/proxy/worker.h"

namespace sluice::proxy {

class Listener {
public:
    virtual ~Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    virtual void start() = 0;
    virtual void close() = 0;
    [[nodiscard]] virtual bool quiet() const = 0;
    virtual void bury() {}  // after each turn: frees what has ended

protected:
    Listener() = default;
};

class TcpListener final : public Listener {
public:
    TcpListener(Worker& worker, UniqueFd fd) : worker_(&worker), fd_(std::move(fd)) {}
    ~TcpListener() override { worker_->loop().close(std::move(fd_)); }
    void start() override;
    void close() override;
    [[nodiscard]] bool quiet() const override { return !accept_.pending(); }

private:
    static constexpr std::uint32_t kPauseMs = 50;
    void on_accept(int result, Buffer buffer);
    void resume();

    Worker* worker_;
    UniqueFd fd_;
    bool closing_ = false;
    BoundCompletion<TcpListener> accept_{*this, &TcpListener::on_accept};
    BoundTimer<TcpListener> pause_{*this, &TcpListener::resume};
};

}  // namespace sluice::proxy
