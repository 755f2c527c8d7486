// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/ring_loop.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"

namespace sluice::proxy {
namespace {

constexpr unsigned kSqEntries = 1024;
constexpr unsigned kCqEntries = 16'384;
// 256 MiB a worker in both groups. A client that keeps a buffer (an unfinished head, a reader that does not read) must
// not take the last: there are two for every connection of a process.
constexpr unsigned kBulkMax = 128;
constexpr unsigned kUsualEntries = 16'384;
constexpr unsigned kUsualMax = kUsualEntries - kBulkMax * kBulkBytes / kBufferBytes;
constexpr unsigned kUsualFirst = 64;
constexpr unsigned kBulkFirst = 8;
constexpr std::uint64_t kWakeData = 1;    // user_data of the wake-up's poll; no Op has that address
constexpr std::uint64_t kIgnoreData = 0;  // cancellations
constexpr std::uint64_t kStopMs = 2'000;  // until cancelled operations must be over

}  // namespace

RingLoop::RingLoop()
    : usual_(*this, {.id = 0, .bytes = kBufferBytes, .entries = kUsualEntries, .first = kUsualFirst, .max = kUsualMax}),
      bulk_(*this, {.id = 1, .bytes = kBulkBytes, .entries = kBulkMax, .first = kBulkFirst, .max = kBulkMax})
{
}

Result<std::unique_ptr<Loop>> RingLoop::make()
{
    std::unique_ptr<RingLoop> loop(new RingLoop());
    if (auto ready = loop->set_up(); !ready)
        return std::unexpected(ready.error());
    if (auto tested = loop->self_test(); !tested)
        return std::unexpected(tested.error());
    return loop;
}

Result<void> RingLoop::set_up()
{
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
                   IORING_SETUP_NO_SQARRAY;
    params.cq_entries = kCqEntries;
    int result = io_uring_queue_init_params(kSqEntries, &ring_, &params);
    if (result == -EINVAL) {  // before kernel 6.6
        params.flags &= ~static_cast<unsigned>(IORING_SETUP_NO_SQARRAY);
        result = io_uring_queue_init_params(kSqEntries, &ring_, &params);
    }
    if (result == -EPERM || result == -ENOSYS)
        return fail(-result, "io_uring_setup", "refused by seccomp or by the sysctl kernel.io_uring_disabled");
    if (result < 0)
        return fail(-result, "io_uring_setup", "kernel 6.1 or later is needed");
    ring_made_ = true;
    io_uring_register_ring_fd(&ring_);
    for (Group* group : {&usual_, &bulk_}) {
        if (result = group->set_up(); result < 0)
            break;
    }
    if (result < 0)
        return fail(-result, "io_uring_register",
                    "no ring of buffers: kernel 6.1 is needed, and seccomp must allow it");
    io_uring_sqe* sqe = next_sqe();
    io_uring_prep_poll_multishot(sqe, wake_fd_.get(), POLLIN);
    io_uring_sqe_set_data64(sqe, kWakeData);
    return {};
}

// A real receive through a provided buffer: kernels and sandboxes exist that let the set-up pass and fail here.
Result<void> RingLoop::self_test()
{
    struct Probe final : Completion {
        int result = -EINPROGRESS;
        bool right = false;
        void complete(int value, Buffer buffer) override
        {
            result = value;
            right = buffer.view() == "x";
        }
    } probe;
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return fail(errno, "socketpair", "io_uring self-test");
    const UniqueFd reader(ends[0]);
    const UniqueFd writer(ends[1]);
    recv(reader.get(), probe, Amount::Usual);
    if (::write(writer.get(), "x", 1) != 1) {
        stop();
        return fail(errno, "write", "io_uring self-test");
    }
    constexpr std::uint64_t kTestMs = 1'000;
    const std::uint64_t deadline = monotonic_ms() + kTestMs;
    Result<void> turned;
    while (turned && probe.pending() && monotonic_ms() < deadline) {
        turned = wait(10);
        if (turned && has_ready())
            turned = turn();
    }
    if (!turned || !probe.right) {
        stop();  // the probe ends here, and nothing may complete it any more
        if (!turned)
            return fail(turned.error().errno_value, "io_uring_enter",
                        "refused by seccomp or by the sysctl kernel.io_uring_disabled");
        return fail(probe.result < 0 ? -probe.result : EIO, "io_uring self-test", "receive by a provided buffer");
    }
    return {};
}

RingLoop::~RingLoop()
{
    if (!ring_made_)
        return;
    if (!stopping_)
        stop();
    usual_.free();
    bulk_.free();
    io_uring_queue_exit(&ring_);
}

int RingLoop::Group::set_up()
{
    int result = 0;
    ring_ = io_uring_setup_buf_ring(&loop_->ring_, shape_.entries, shape_.id, 0, &result);
    if (ring_ == nullptr)
        return result;
    memory_ = std::make_unique_for_overwrite<char[]>(shape_.max * shape_.bytes);  // untouched pages cost nothing
    grow();
    return 0;
}

void RingLoop::Group::free()
{
    if (ring_ != nullptr)
        io_uring_free_buf_ring(&loop_->ring_, ring_, shape_.entries, shape_.id);
}

bool RingLoop::Group::grow()
{
    if (grown_in_ == loop_->batch_)
        return true;  // one growth is for all who found none in a batch; who still finds none comes again
    const unsigned step = std::min(std::max(shape_.first, live_), shape_.max - live_);
    if (step == 0)
        return false;
    grown_in_ = loop_->batch_;
    for (unsigned i = 0; i < step; ++i, ++live_)
        offer(static_cast<std::uint16_t>(live_));
    return true;
}

void RingLoop::Group::offer(std::uint16_t id)
{
    io_uring_buf_ring_add(ring_, at(id), static_cast<unsigned>(shape_.bytes), id,
                          io_uring_buf_ring_mask(shape_.entries), 0);
    io_uring_buf_ring_advance(ring_, 1);
}

void RingLoop::Group::give_back(std::uint16_t id)
{
    offer(id);
    if (this == &loop_->usual_)
        loop_->restart_starved();
}

// The oldest first. One that ends without taking the buffer calls this again, so that the buffer is not left idle.
void RingLoop::restart_starved()
{
    if (starved_.empty() || stopping_)
        return;
    Op& op = *starved_.front();
    starved_.pop_front();
    submit(op);
}

io_uring_sqe* RingLoop::next_sqe()
{
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    while (sqe == nullptr) {  // the queue is full: hand over what is in it
        io_uring_submit(&ring_);
        sqe = io_uring_get_sqe(&ring_);
    }
    return sqe;
}

RingLoop::Op& RingLoop::start(Kind kind, int fd, Completion& completion)
{
    if (free_.empty()) {
        ops_.push_back(std::make_unique<Op>());
        free_.push_back(ops_.back().get());
    }
    Op& op = *free_.back();
    free_.pop_back();
    op.completion = &completion;
    op.kind = kind;
    op.fd = fd;
    op.sent = 0;
    op.cancelled = false;
    completion.pending_ = true;
    completion.state_ = &op;
    return op;
}

void RingLoop::submit(Op& op)
{
    io_uring_sqe* sqe = next_sqe();
    switch (op.kind) {
    case Kind::Accept:
        io_uring_prep_multishot_accept(sqe, op.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        break;
    case Kind::Recv:
        // 0: as much as the buffer holds
        io_uring_prep_recv(sqe, op.fd, nullptr, op.amount == Amount::Little ? kLittleBytes : 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = group_of(op).id();
        if (op.amount != Amount::Bulk)
            sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;  // nearly always there is nothing yet
        break;
    case Kind::Send:
        if (op.unsent.size() == 1) {
            const iovec& span = op.unsent.front();
            io_uring_prep_send(sqe, op.fd, span.iov_base, span.iov_len, MSG_NOSIGNAL | MSG_WAITALL);
            break;
        }
        op.message = {};
        op.message.msg_iov = op.unsent.data();
        op.message.msg_iovlen = op.unsent.size();
        io_uring_prep_sendmsg(sqe, op.fd, &op.message, MSG_NOSIGNAL | MSG_WAITALL);
        break;
    case Kind::Connect:
        io_uring_prep_connect(sqe, op.fd, reinterpret_cast<const sockaddr*>(&op.address),
                              op.address.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
        break;
    case Kind::WaitReadable: io_uring_prep_poll_add(sqe, op.fd, POLLIN); break;
    }
    io_uring_sqe_set_data(sqe, &op);
    op.in_kernel = true;
    ++in_kernel_;
}

void RingLoop::accept(int listen_fd, Completion& completion) { submit(start(Kind::Accept, listen_fd, completion)); }

void RingLoop::recv(int fd, Completion& completion, Amount amount)
{
    Op& op = start(Kind::Recv, fd, completion);
    op.amount = amount;
    submit(op);
}

void RingLoop::wait_readable(int fd, Completion& completion) { submit(start(Kind::WaitReadable, fd, completion)); }

bool RingLoop::send(int fd, std::span<const iovec> spans, Completion& completion)
{
    Op& op = start(Kind::Send, fd, completion);
    op.unsent.assign(spans.begin(), spans.end());
    submit(op);
    return false;
}

void RingLoop::connect(int fd, const SocketAddress& address, Completion& completion)
{
    Op& op = start(Kind::Connect, fd, completion);
    address.to_sockaddr(op.address);
    submit(op);
}

void RingLoop::cancel(Completion& completion)
{
    auto* op = static_cast<Op*>(completion.state_);
    if (!completion.pending_ || op == nullptr || op->cancelled)
        return;
    op->cancelled = true;
    if (const auto waiting = std::ranges::find(starved_, op); waiting != starved_.end()) {
        starved_.erase(waiting);
        complete(*op, -ECANCELED);
        return;
    }
    io_uring_sqe* sqe = next_sqe();
    io_uring_prep_cancel(sqe, op, 0);
    io_uring_sqe_set_data64(sqe, kIgnoreData);
}

void RingLoop::release(Op& op)
{
    op.completion = nullptr;
    free_.push_back(&op);
}

void RingLoop::complete(Op& op, int result, Buffer buffer)
{
    Completion& completion = *op.completion;
    completion.state_ = nullptr;
    release(op);
    queue(completion, result, std::move(buffer), true);
}

bool RingLoop::sent_all(Op& op, int count)
{
    op.sent += count;
    drop_front(op.unsent, static_cast<std::size_t>(count));
    return op.unsent.empty();
}

void RingLoop::without_buffer(Op& op)
{
    if (group_of(op).grow())
        return submit(op);
    if (op.amount != Amount::Bulk)
        return starved_.push_back(&op);
    op.amount = Amount::Usual;
    submit(op);
}

void RingLoop::handle(const io_uring_cqe& cqe)
{
    if (cqe.user_data == kIgnoreData)
        return;
    if (cqe.user_data == kWakeData) {
        woken_ = true;
        if ((cqe.flags & IORING_CQE_F_MORE) == 0 && !stopping_) {
            io_uring_sqe* sqe = next_sqe();
            io_uring_prep_poll_multishot(sqe, wake_fd_.get(), POLLIN);
            io_uring_sqe_set_data64(sqe, kWakeData);
        }
        return;
    }
    Op& op = *static_cast<Op*>(io_uring_cqe_get_data(&cqe));
    Buffer buffer;
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
        const auto id = static_cast<std::uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
        buffer = group_of(op).buffer(id, static_cast<std::uint32_t>(std::max(cqe.res, 0)));
    }
    if (op.kind == Kind::Accept && (cqe.flags & IORING_CQE_F_MORE) != 0) {
        if (cqe.res >= 0 && stopping_)
            ::close(cqe.res);
        else
            queue(*op.completion, cqe.res, {}, false);
        return;
    }
    op.in_kernel = false;
    --in_kernel_;
    if (stopping_) {
        if (op.kind == Kind::Accept && cqe.res >= 0)
            ::close(cqe.res);
        return;
    }
    if (op.kind == Kind::Accept && cqe.res >= 0) {
        queue(*op.completion, cqe.res, {}, false);
        if (!op.cancelled)
            return submit(op);
        return complete(op, -ECANCELED);
    }
    if (op.kind == Kind::Recv && cqe.res == -ENOBUFS && !op.cancelled)
        return without_buffer(op);
    if (op.kind == Kind::Recv && !buffer)
        restart_starved();
    if (op.kind == Kind::Send && cqe.res > 0) {
        if (sent_all(op, cqe.res))
            return complete(op, op.sent);
        if (!op.cancelled)
            return submit(op);
        return complete(op, -ECANCELED);
    }
    if (op.cancelled && cqe.res == -ENOBUFS)
        return complete(op, -ECANCELED);
    const bool is_plain_success = op.kind == Kind::WaitReadable && cqe.res > 0;
    complete(op, is_plain_success ? 0 : cqe.res, std::move(buffer));
}

Result<void> RingLoop::wait(int timeout_ms)
{
    __kernel_timespec timeout{.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1'000'000L};
    io_uring_cqe* first = nullptr;
    const int result = timeout_ms == 0 ? io_uring_submit_and_get_events(&ring_)
                                       : io_uring_submit_and_wait_timeout(&ring_, &first, 1,
                                                                          timeout_ms < 0 ? nullptr : &timeout, nullptr);
    if (result < 0 && result != -ETIME && result != -EINTR && result != -EBUSY && result != -EAGAIN)
        return fail(-result, "io_uring_submit_and_wait", "worker");
    ++batch_;
    unsigned head = 0;
    unsigned seen = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring_, head, cqe)
    {
        handle(*cqe);
        ++seen;
    }
    io_uring_cq_advance(&ring_, seen);
    return {};
}

void RingLoop::stop()
{
    drop_ready();
    stopping_ = true;
    for (const auto& op : ops_) {
        if (op->completion == nullptr)
            continue;
        op->completion->pending_ = false;
        op->completion->state_ = nullptr;
    }
    if (!ring_made_)
        return;
    io_uring_sqe* sqe = next_sqe();
    io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    io_uring_sqe_set_data64(sqe, kIgnoreData);
    const std::uint64_t deadline = monotonic_ms() + kStopMs;
    while (in_kernel_ > 0 && monotonic_ms() < deadline && wait(10)) {
    }
}

}  // namespace sluice::proxy
