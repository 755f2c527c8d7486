// SPDX-License-Identifier: Apache-2.0
#include "agent/control/handover.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "base/log.h"

namespace sluice::control {
namespace {

constexpr int kAnswerMs = 5'000;
constexpr int kTriesMax = 10;

// An abstract name (unix(7)): gone with its last holder, whatever ended it.
socklen_t set_name(sockaddr_un& address, const std::string& name)
{
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
}

bool is_of_our_user(int fd)
{
    ucred peer{};
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

UniqueFd make_socket() { return UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

}  // namespace

Result<Handover> Handover::make(const std::string& scope)
{
    Handover handover;
    handover.name_ = "sluice:" + scope;
    if (handover.name_.size() >= sizeof(sockaddr_un::sun_path) - 1)
        return fail(ENAMETOOLONG, "--bpffs", scope);
    handover.epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
    if (!handover.epoll_.valid())
        return fail(errno, "epoll_create1", "handover");
    return handover;
}

void Handover::watch(const UniqueFd& fd) const
{
    epoll_event event{.events = EPOLLIN | EPOLLRDHUP, .data = {.fd = fd.get()}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
}

Result<void> Handover::take()
{
    successor_.reset();
    predecessor_.reset();
    for (int tries = 1; !listener_.valid(); ++tries) {
        const auto asked = ask();
        if (!asked)
            return std::unexpected(asked.error());
        if (!*asked) {
            spdlog::warn("another user's process holds the socket @{}: an update of this agent will have a gap", name_);
            break;
        }
        // Of an agent that ends the kernel closes one descriptor after the other: its name may be the last to go.
        if (auto listening = listen();
            !listening && (listening.error().errno_value != EADDRINUSE || tries == kTriesMax))
            return listening;
    }
    in_control_ = true;
    return {};
}

Result<bool> Handover::ask()
{
    UniqueFd fd = make_socket();
    sockaddr_un address{};
    const socklen_t size = set_name(address, name_);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
        return errno == ECONNREFUSED ? Result<bool>(true) : fail(errno, "connect", "the agent before this one");
    if (!is_of_our_user(fd.get()))
        return false;
    spdlog::info("the agent that has control of this node is asked to stand by");
    pollfd answer{.fd = fd.get(), .events = POLLIN, .revents = 0};
    char done = 0;
    if (::poll(&answer, 1, kAnswerMs) != 1)
        return fail(ETIMEDOUT, "handover", "the agent that has control of this node does not answer");
    if (::recv(fd.get(), &done, sizeof done, 0) == sizeof done)
        watch(predecessor_ = std::move(fd));
    return true;  // without an answer it has ended
}

Result<void> Handover::listen()
{
    UniqueFd fd = make_socket();
    sockaddr_un address{};
    const socklen_t size = set_name(address, name_);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 || ::listen(fd.get(), 4) != 0)
        return fail(errno, "bind", "the socket @" + name_ + " of whoever has control of this node");
    watch(fd);
    listener_ = std::move(fd);
    return {};
}

Handover::Event Handover::poll()
{
    epoll_event event{};
    if (epoll_wait(epoll_.get(), &event, 1, 0) != 1)
        return Event::None;
    if (listener_.valid() && event.data.fd == listener_.get())
        return on_asked();
    if (predecessor_.valid() && event.data.fd == predecessor_.get()) {
        predecessor_.reset();
        return Event::Succeeded;
    }
    if (!successor_.valid() || event.data.fd != successor_.get())
        return Event::None;
    successor_.reset();
    // Who gave up before the answer never had control.
    return in_control() ? Event::None : Event::Alone;
}

Handover::Event Handover::on_asked()
{
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid() || !is_of_our_user(fd.get()))
        return Event::None;
    successor_ = std::move(fd);
    return Event::Asked;
}

void Handover::give()
{
    in_control_ = false;
    listener_.reset();
    watch(successor_);
    const char done = 1;
    [[maybe_unused]] const ssize_t sent = ::send(successor_.get(), &done, sizeof done, MSG_NOSIGNAL);
}

}  // namespace sluice::control
