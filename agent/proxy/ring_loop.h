// SPDX-License-Identifier: Apache-2.0
// The loop on io_uring: one ring, one io_uring_enter a turn that submits everything and waits. Received bytes land in a
// ring of provided buffers, so that an idle connection owns none. Kernel 6.1 or later.
#pragma once

#include <liburing.h>

#include <deque>
#include <memory>
#include <vector>

#include "agent/proxy/io.h"

namespace sluice::proxy {

class RingLoop final : public Loop {
public:
    // Errors: EPERM or ENOSYS where seccomp or kernel.io_uring_disabled refuses it; others from the self-test.
    [[nodiscard]] static Result<std::unique_ptr<Loop>> make();
    ~RingLoop() override;

    [[nodiscard]] IoKind kind() const override { return IoKind::IoUring; }
    void accept(int listen_fd, Completion& completion) override;
    void recv(int fd, Completion& completion, Amount amount) override;
    bool send(int fd, std::span<const iovec> spans, Completion& completion) override;
    void connect(int fd, const SocketAddress& address, Completion& completion) override;
    void wait_readable(int fd, Completion& completion) override;
    void cancel(Completion& completion) override;
    void close(UniqueFd) override {}  // nothing to forget: the descriptor closes as it goes out of scope
    void stop() override;

private:
    enum class Kind : std::uint8_t { Accept, Recv, Send, Connect, WaitReadable };
    // One operation. Its address is the user_data; it is used again only after its last completion was seen, and a
    // cancellation that names it is submitted before that, so it can never hit a successor.
    struct Op {
        Completion* completion = nullptr;
        Kind kind = Kind::Recv;
        Amount amount = Amount::Usual;
        int fd = -1;
        int sent = 0;
        bool in_kernel = false;
        bool cancelled = false;
        msghdr message{};
        std::vector<iovec> unsent;
        sockaddr_storage address{};
    };

    // A ring of provided buffers of one size. They are put into it as they are needed, so that as few
    // as possible go round: the kernel takes the one that was given back longest ago, the least likely to be in the
    // caches.
    class Group final : public BufferPool {
    public:
        struct Shape {
            unsigned short id;
            std::size_t bytes;
            unsigned entries;  // of the ring: a power of two
            unsigned first;    // how many it begins with; it doubles from there
            unsigned max;
        };
        Group(RingLoop& loop, Shape shape) : loop_(&loop), shape_(shape) {}
        [[nodiscard]] int set_up();  // 0 or -errno
        void free();
        [[nodiscard]] unsigned short id() const { return shape_.id; }
        bool grow();  // false: all are in use
        [[nodiscard]] Buffer buffer(std::uint16_t id, std::uint32_t size) { return {this, at(id), size, id}; }
        void give_back(std::uint16_t id) override;

    private:
        [[nodiscard]] char* at(std::uint16_t id) { return memory_.get() + id * shape_.bytes; }
        void offer(std::uint16_t id);
        RingLoop* loop_;
        Shape shape_;
        io_uring_buf_ring* ring_ = nullptr;
        std::unique_ptr<char[]> memory_;
        std::uint64_t grown_in_ = ~std::uint64_t{0};  // the batch
        unsigned live_ = 0;                           // were put into the ring so far: ids below it
    };

    RingLoop();
    Result<void> set_up();
    Result<void> self_test();
    Result<void> wait(int timeout_ms) override;
    void restart_starved();
    io_uring_sqe* next_sqe();
    Group& group_of(const Op& op) { return op.amount == Amount::Bulk ? bulk_ : usual_; }
    void without_buffer(Op& op);
    Op& start(Kind kind, int fd, Completion& completion);
    void submit(Op& op);
    void handle(const io_uring_cqe& cqe);
    bool sent_all(Op& op, int count);
    void release(Op& op);
    void complete(Op& op, int result, Buffer buffer = {});

    io_uring ring_{};
    bool ring_made_ = false;
    Group usual_;
    Group bulk_;
    std::vector<std::unique_ptr<Op>> ops_;
    std::vector<Op*> free_;
    std::deque<Op*> starved_;  // receives that found no buffer: started again when one comes back
    std::size_t in_kernel_ = 0;
    std::uint64_t batch_ = 0;  // of completions: counts
    bool stopping_ = false;
};

}  // namespace sluice::proxy
