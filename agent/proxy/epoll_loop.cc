// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/epoll_loop.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace sluice::proxy {
namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr std::size_t kEventsPerTurn = 64;  // few enough to be in the caches still when the turn sends

// Past libc, whose sends and receives are cancellation points: two locked instructions each in a process with threads.
// The sanitizers see the memory, and the order of threads, in libc's calls alone.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsPastLibc = false;
#else
constexpr bool kIsPastLibc = true;
#endif

ssize_t send_spans(int fd, std::span<const iovec> spans)
{
    constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
    if (kIsPastLibc && spans.size() == 1)
        return ::syscall(SYS_sendto, fd, spans[0].iov_base, spans[0].iov_len, kFlags, nullptr, 0);
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(spans.data());  // sendmsg only reads them
    message.msg_iovlen = spans.size();
    return kIsPastLibc ? ::syscall(SYS_sendmsg, fd, &message, kFlags) : ::sendmsg(fd, &message, kFlags);
}

ssize_t receive_bytes(int fd, char* to, std::size_t most)
{
    return kIsPastLibc ? ::syscall(SYS_recvfrom, fd, to, most, MSG_DONTWAIT, nullptr, nullptr)
                       : ::recv(fd, to, most, MSG_DONTWAIT);
}

}  // namespace

Result<std::unique_ptr<Loop>> EpollLoop::make()
{
    std::unique_ptr<EpollLoop> loop(new EpollLoop());
    loop->epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
    if (!loop->epoll_.valid())
        return fail(errno, "epoll_create1", "worker");
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.fd = loop->wake_fd_.get()}};
    if (epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, loop->wake_fd_.get(), &event) != 0)
        return fail(errno, "epoll_ctl", "worker wake-up");
    return loop;
}

EpollLoop::Descriptor& EpollLoop::at(int fd)
{
    const auto index = static_cast<std::size_t>(fd);
    if (index >= descriptors_.size())
        descriptors_.resize(index + 1);
    if (!descriptors_[index])
        descriptors_[index] = std::make_unique<Descriptor>();
    return *descriptors_[index];
}

void EpollLoop::start(Direction& direction, Op op, Completion& completion, Descriptor& owner)
{
    direction = {&completion, op};
    completion.pending_ = true;
    completion.state_ = &owner;
}

void EpollLoop::add(int fd, Descriptor& descriptor)
{
    if (descriptor.registered)
        return;
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.fd = fd}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
    descriptor.registered = true;
}

void EpollLoop::set_level_in(int fd, Descriptor& descriptor, bool wanted)
{
    if (std::exchange(descriptor.level_in, wanted) == wanted)
        return;
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(epoll_.get(), wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event);
}

void EpollLoop::finish(Direction& direction, int result, Buffer buffer)
{
    Completion& completion = *direction.completion;
    direction = {};
    completion.state_ = nullptr;
    queue(completion, result, std::move(buffer), true);
}

void EpollLoop::accept(int listen_fd, Completion& completion)
{
    Descriptor& descriptor = at(listen_fd);
    start(descriptor.in, Op::Accept, completion, descriptor);
    set_level_in(listen_fd, descriptor, true);
}

void EpollLoop::recv(int fd, Completion& completion, Amount amount)
{
    Descriptor& descriptor = at(fd);
    start(descriptor.in, Op::Recv, completion, descriptor);
    descriptor.amount = amount;
    add(fd, descriptor);
    if (descriptor.readable)
        receive(fd, descriptor);
}

void EpollLoop::wait_readable(int fd, Completion& completion)
{
    Descriptor& descriptor = at(fd);
    start(descriptor.in, Op::WaitReadable, completion, descriptor);
    set_level_in(fd, descriptor, true);
}

bool EpollLoop::send(int fd, std::span<const iovec> spans, Completion& completion)
{
    std::size_t size = 0;
    for (const iovec& span : spans)
        size += span.iov_len;
    const ssize_t count = send_spans(fd, spans);
    if (count == static_cast<ssize_t>(size))
        return true;
    Descriptor& descriptor = at(fd);
    start(descriptor.out, Op::Send, completion, descriptor);
    descriptor.unsent.assign(spans.begin(), spans.end());
    descriptor.sent = static_cast<int>(std::max<ssize_t>(count, 0));
    drop_front(descriptor.unsent, static_cast<std::size_t>(descriptor.sent));
    if (!send_some(fd, descriptor))
        add(fd, descriptor);
    return false;
}

bool EpollLoop::send_some(int fd, Descriptor& descriptor)
{
    while (!descriptor.unsent.empty()) {
        const ssize_t count = send_spans(fd, descriptor.unsent);
        if (count < 0) {
            if (errno == EAGAIN)
                return false;
            finish(descriptor.out, -errno);
            return true;
        }
        descriptor.sent += static_cast<int>(count);
        drop_front(descriptor.unsent, static_cast<std::size_t>(count));
    }
    finish(descriptor.out, descriptor.sent);
    return true;
}

void EpollLoop::connect(int fd, const SocketAddress& address, Completion& completion)
{
    Descriptor& descriptor = at(fd);
    start(descriptor.out, Op::Connect, completion, descriptor);
    sockaddr_storage storage{};
    const socklen_t length = address.to_sockaddr(storage);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&storage), length) == 0)
        finish(descriptor.out, 0);
    else if (errno != EINPROGRESS)
        finish(descriptor.out, -errno);
    else
        add(fd, descriptor);
}

void EpollLoop::cancel(Completion& completion)
{
    auto* descriptor = static_cast<Descriptor*>(completion.state_);
    if (!completion.pending_ || descriptor == nullptr)
        return;  // its result is queued already
    for (Direction* direction : {&descriptor->in, &descriptor->out}) {
        if (direction->completion == &completion)
            return finish(*direction, -ECANCELED);
    }
}

void EpollLoop::close(UniqueFd fd)
{
    const auto index = static_cast<std::size_t>(fd.get());
    if (fd.valid() && index < descriptors_.size())
        descriptors_[index].reset();
}

void EpollLoop::stop()
{
    for (auto& descriptor : descriptors_) {
        if (!descriptor)
            continue;
        for (Direction* direction : {&descriptor->in, &descriptor->out}) {
            if (direction->completion != nullptr)
                direction->completion->pending_ = false;
            *direction = {};
        }
    }
    drop_ready();
}

void EpollLoop::accept_some(int fd, Descriptor& descriptor)
{
    for (int i = 0; i < kAcceptsPerTurn && descriptor.in.completion != nullptr; ++i) {
        const int accepted = ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted >= 0) {
            queue(*descriptor.in.completion, accepted, {}, false);
            continue;
        }
        if (errno == EAGAIN || errno == EINTR)
            return;
        if (errno != ECONNABORTED)
            finish(descriptor.in, -errno);
    }
}

void EpollLoop::receive(int fd, Descriptor& descriptor)
{
    Buffer buffer = descriptor.amount == Amount::Bulk ? bulk_.take() : Buffer();
    if (!buffer)
        buffer = usual_.take();
    if (!buffer) {
        descriptor.readable = true;
        if (!std::exchange(descriptor.starved, true))
            starved_.push_back(fd);
        return;
    }
    const std::size_t most = descriptor.amount == Amount::Little ? kLittleBytes : buffer.size();
    const ssize_t count = receive_bytes(fd, buffer.data(), most);
    // Less than fits means that the socket is empty: whatever comes later is an edge of its own.
    descriptor.readable = descriptor.broken || count == static_cast<ssize_t>(most);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        return finish(descriptor.in, count < 0 ? -errno : 0);
    buffer.shrink(static_cast<std::uint32_t>(count));
    finish(descriptor.in, static_cast<int>(count), std::move(buffer));
}

void EpollLoop::receive_starved()
{
    while (!starved_.empty() && usual_.has_more()) {
        const int fd = starved_.front();
        starved_.pop_front();
        Descriptor& descriptor = at(fd);  // of another connection by now, perhaps
        descriptor.starved = false;
        if (descriptor.in.op == Op::Recv && descriptor.readable)
            receive(fd, descriptor);
    }
}

void EpollLoop::on_writable(int fd, Descriptor& descriptor)
{
    if (descriptor.out.op == Op::Send) {
        send_some(fd, descriptor);
        return;
    }
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    finish(descriptor.out, -error);
}

void EpollLoop::handle(int fd, Descriptor& descriptor, std::uint32_t events)
{
    constexpr std::uint32_t kBroken = EPOLLERR | EPOLLHUP | EPOLLRDHUP;
    if (descriptor.level_in) {
        if (descriptor.in.op == Op::Accept)
            accept_some(fd, descriptor);
        else if (descriptor.in.op == Op::WaitReadable)
            finish(descriptor.in, 0);
        else
            set_level_in(fd, descriptor, false);  // nobody waits: or the next wait would spin
        return;
    }
    if ((events & kBroken) != 0)
        descriptor.broken = true;
    if ((events & (EPOLLIN | kBroken)) != 0) {
        descriptor.readable = true;
        if (descriptor.in.op == Op::Recv)
            receive(fd, descriptor);
    }
    if (descriptor.out.completion != nullptr && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
        on_writable(fd, descriptor);
}

Result<void> EpollLoop::wait(int timeout_ms)
{
    receive_starved();
    std::array<epoll_event, kEventsPerTurn> events;
    const int count =
        epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), has_ready() ? 0 : timeout_ms);
    if (count < 0)
        return errno == EINTR ? Result<void>{} : fail(errno, "epoll_wait", "worker");
    for (const epoll_event& event : std::span(events).first(static_cast<std::size_t>(count))) {
        const int fd = event.data.fd;
        const auto index = static_cast<std::size_t>(fd);
        if (fd == wake_fd_.get())
            woken_ = true;
        else if (index < descriptors_.size() && descriptors_[index])
            handle(fd, *descriptors_[index], event.events);
    }
    return {};
}

}  // namespace sluice::proxy
