// SPDX-License-Identifier: Apache-2.0
// The loop on epoll. A connection is registered once, edge-triggered for both directions: what an edge told is
// remembered until somebody reads. Sends are tried at once. Listening and datagram sockets are level-triggered.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "agent/proxy/heap_buffers.h"

namespace sluice::proxy {

class EpollLoop final : public Loop {
public:
    [[nodiscard]] static Result<std::unique_ptr<Loop>> make();
    ~EpollLoop() override = default;

    [[nodiscard]] IoKind kind() const override { return IoKind::Epoll; }
    void accept(int listen_fd, Completion& completion) override;
    void recv(int fd, Completion& completion, Amount amount) override;
    bool send(int fd, std::span<const iovec> spans, Completion& completion) override;
    void connect(int fd, const SocketAddress& address, Completion& completion) override;
    void wait_readable(int fd, Completion& completion) override;
    void cancel(Completion& completion) override;
    void close(UniqueFd fd) override;
    void stop() override;

private:
    // 256 MiB together: more than the connections of a process may hold at once.
    static constexpr std::uint16_t kBulkMax = 128;
    static constexpr std::uint16_t kUsualMax = 16'384 - kBulkMax * kBulkBytes / kBufferBytes;
    static constexpr std::uint16_t kUsualKept = 512;
    static constexpr std::uint16_t kBulkKept = 32;

    enum class Op : std::uint8_t { None, Accept, Recv, WaitReadable, Send, Connect };
    struct Direction {
        Completion* completion = nullptr;
        Op op = Op::None;
    };
    struct Descriptor {
        Direction in, out;
        Amount amount = Amount::Usual;
        bool registered = false;  // edge-triggered
        bool readable = false;    // there may be bytes that nobody has read
        bool broken = false;      // ended or failed: reads never wait any more
        bool level_in = false;    // registered level-triggered, for reading alone
        bool starved = false;     // waits for a buffer
        std::vector<iovec> unsent;
        int sent = 0;
    };

    EpollLoop() = default;
    Result<void> wait(int timeout_ms) override;
    Descriptor& at(int fd);
    void start(Direction& direction, Op op, Completion& completion, Descriptor& owner);
    void add(int fd, Descriptor& descriptor);
    void set_level_in(int fd, Descriptor& descriptor, bool wanted);
    void finish(Direction& direction, int result, Buffer buffer = {});
    void handle(int fd, Descriptor& descriptor, std::uint32_t events);
    void receive(int fd, Descriptor& descriptor);
    void receive_starved();
    void on_writable(int fd, Descriptor& descriptor);
    void accept_some(int fd, Descriptor& descriptor);
    bool send_some(int fd, Descriptor& descriptor);  // false: the socket is full

    UniqueFd epoll_;
    std::vector<std::unique_ptr<Descriptor>> descriptors_;  // by number
    HeapBuffers usual_{kBufferBytes, kUsualMax, kUsualKept};
    HeapBuffers bulk_{kBulkBytes, kBulkMax, kBulkKept};
    std::deque<int> starved_;  // receives that found no buffer
};

}  // namespace sluice::proxy
