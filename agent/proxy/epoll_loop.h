// SPDX-License-Identifier: Apache-2.0
// The loop on epoll, level-triggered: interest in reading stays registered from request to request, sends are tried at
// once, and epoll_ctl is called only when the interest changes.
#pragma once

#include <memory>
#include <vector>

#include "agent/proxy/io.h"

namespace sluice::proxy {

class EpollLoop final : public Loop, private BufferPool {
public:
    [[nodiscard]] static Result<std::unique_ptr<Loop>> make();
    ~EpollLoop() override = default;

    [[nodiscard]] IoKind kind() const override { return IoKind::Epoll; }
    void accept(int listen_fd, Completion& completion) override;
    void recv(int fd, Completion& completion) override;
    void send(int fd, std::span<const iovec> spans, Completion& completion) override;
    void connect(int fd, const SocketAddress& address, Completion& completion) override;
    void wait_readable(int fd, Completion& completion) override;
    void cancel(Completion& completion) override;
    void close(UniqueFd fd) override;
    void stop() override;

private:
    enum class Op : std::uint8_t { None, Accept, Recv, WaitReadable, Send, Connect };
    struct Direction {
        Completion* completion = nullptr;
        Op op = Op::None;
    };
    struct Descriptor {
        Direction in, out;
        std::uint32_t interest = 0;
        bool registered = false;
        std::vector<iovec> unsent;
        int sent = 0;
    };

    EpollLoop() = default;
    Result<void> wait(int timeout_ms) override;
    void give_back(std::uint16_t id) override { free_.push_back(id); }
    Buffer take();
    Descriptor& at(int fd);
    void start(Direction& direction, Op op, Completion& completion, Descriptor& owner);
    void update_interest(int fd, Descriptor& descriptor);
    void finish(Direction& direction, int result, Buffer buffer = {});
    void on_readable(int fd, Descriptor& descriptor);
    void on_writable(int fd, Descriptor& descriptor);
    void accept_some(int fd, Descriptor& descriptor);
    bool send_some(int fd, Descriptor& descriptor);  // false: the socket is full

    UniqueFd epoll_;
    std::vector<std::unique_ptr<Descriptor>> descriptors_;  // by number
    std::vector<std::unique_ptr<char[]>> slabs_;
    std::vector<std::uint16_t> free_;
};

}  // namespace sluice::proxy
