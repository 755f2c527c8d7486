// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/epoll_loop.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace sluice::proxy {
namespace {

constexpr std::size_t kBuffersMax = 16'384;  // 256 MiB: more than the connections of a process may hold at once
constexpr int kAcceptsPerTurn = 64;

}  // namespace

Result<std::unique_ptr<Loop>> EpollLoop::make()
{
    std::unique_ptr<EpollLoop> loop(new EpollLoop());
    loop->epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
    if (!loop->epoll_.valid())
        return fail(errno, "epoll_create1", "worker");
    epoll_event event{.events = EPOLLIN, .data = {.fd = loop->wake_fd_.get()}};
    if (epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, loop->wake_fd_.get(), &event) != 0)
        return fail(errno, "epoll_ctl", "worker wake-up");
    return loop;
}

Buffer EpollLoop::take()
{
    if (free_.empty()) {
        if (slabs_.size() >= kBuffersMax)
            return {};
        slabs_.push_back(std::make_unique<char[]>(kBufferBytes));
        free_.push_back(static_cast<std::uint16_t>(slabs_.size() - 1));
    }
    const std::uint16_t id = free_.back();
    free_.pop_back();
    return {this, slabs_[id].get(), kBufferBytes, id};
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

void EpollLoop::update_interest(int fd, Descriptor& descriptor)
{
    const std::uint32_t wanted = (descriptor.in.completion != nullptr ? std::uint32_t{EPOLLIN} : 0U) |
                                 (descriptor.out.completion != nullptr ? std::uint32_t{EPOLLOUT} : 0U);
    if (descriptor.registered && descriptor.interest == wanted)
        return;
    epoll_event event{.events = wanted, .data = {.fd = fd}};
    epoll_ctl(epoll_.get(), descriptor.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    descriptor.registered = true;
    descriptor.interest = wanted;
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
    update_interest(listen_fd, descriptor);
}

void EpollLoop::recv(int fd, Completion& completion)
{
    Descriptor& descriptor = at(fd);
    start(descriptor.in, Op::Recv, completion, descriptor);
    if (!descriptor.registered || (descriptor.interest & EPOLLIN) == 0)
        update_interest(fd, descriptor);
}

void EpollLoop::wait_readable(int fd, Completion& completion)
{
    Descriptor& descriptor = at(fd);
    start(descriptor.in, Op::WaitReadable, completion, descriptor);
    update_interest(fd, descriptor);
}

void EpollLoop::send(int fd, std::span<const iovec> spans, Completion& completion)
{
    Descriptor& descriptor = at(fd);
    start(descriptor.out, Op::Send, completion, descriptor);
    descriptor.unsent.assign(spans.begin(), spans.end());
    descriptor.sent = 0;
    if (!send_some(fd, descriptor))
        update_interest(fd, descriptor);
}

bool EpollLoop::send_some(int fd, Descriptor& descriptor)
{
    while (!descriptor.unsent.empty()) {
        msghdr message{};
        message.msg_iov = descriptor.unsent.data();
        message.msg_iovlen = descriptor.unsent.size();
        const ssize_t count = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0) {
            if (errno == EAGAIN)
                return false;
            finish(descriptor.out, -errno);
            return true;
        }
        descriptor.sent += static_cast<int>(count);
        auto left = static_cast<std::size_t>(count);
        auto span = descriptor.unsent.begin();
        while (span != descriptor.unsent.end() && left >= span->iov_len)
            left -= (span++)->iov_len;
        descriptor.unsent.erase(descriptor.unsent.begin(), span);
        if (left > 0) {
            iovec& partial = descriptor.unsent.front();
            partial.iov_base = static_cast<char*>(partial.iov_base) + left;
            partial.iov_len -= left;
        }
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
        update_interest(fd, descriptor);
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

void EpollLoop::on_readable(int fd, Descriptor& descriptor)
{
    if (descriptor.in.op == Op::Accept)
        return accept_some(fd, descriptor);
    if (descriptor.in.op == Op::WaitReadable)
        return finish(descriptor.in, 0);
    Buffer buffer = take();
    if (!buffer)
        return;  // level-triggered: it comes again once a buffer is back
    const ssize_t count = ::recv(fd, buffer.data(), kBufferBytes, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        return finish(descriptor.in, count < 0 ? -errno : 0);
    buffer.shrink(static_cast<std::uint32_t>(count));
    finish(descriptor.in, static_cast<int>(count), std::move(buffer));
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

Result<void> EpollLoop::wait(int timeout_ms)
{
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
    if (count < 0)
        return errno == EINTR ? Result<void>{} : fail(errno, "epoll_wait", "worker");
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        const int fd = event.data.fd;
        const auto index = static_cast<std::size_t>(fd);
        if (fd == wake_fd_.get() || index >= descriptors_.size() || !descriptors_[index])
            continue;
        Descriptor& descriptor = *descriptors_[index];
        constexpr std::uint32_t kBroken = EPOLLERR | EPOLLHUP;
        const bool had_reader = descriptor.in.completion != nullptr;
        if (had_reader && (event.events & (EPOLLIN | kBroken)) != 0)
            on_readable(fd, descriptor);
        if (descriptor.out.completion != nullptr && (event.events & (EPOLLOUT | kBroken)) != 0)
            on_writable(fd, descriptor);
        // Interest in reading is kept over the usual gap between two reads. When nobody reads though bytes or the end
        // are there, the descriptor is taken out, or the wait would spin.
        if (!had_reader && descriptor.out.completion == nullptr) {
            epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
            descriptor.registered = false;
            descriptor.interest = 0;
        } else if (!had_reader || (descriptor.interest & EPOLLOUT) != 0) {
            update_interest(fd, descriptor);
        }
    }
    return {};
}

}  // namespace sluice::proxy
