// SPDX-License-Identifier: Apache-2.0
// Bytes as one end of an HTTP/2 connection of a real proxy on loopback: for the fuzzer and for the replay of its
// corpus. The first byte says which end: 'c', a client behind the preface; 'b', what a backend says behind its
// SETTINGS.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include "agent/proxy/proxy.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "tests/harness/plans.h"

namespace sluice::proxy::fuzz {

class Http2Peers {
public:
    Http2Peers()
    {
        static_cast<void>(set_up_log("off"));
        auto made = Proxy::make({.io = IoKind::Epoll, .workers = 1, .limits = {.connect_timeout_ms = kWaitMs}});
        if (!made)
            give_up("the proxy does not start");
        proxy_ = *std::move(made);
        auto plan = std::make_shared<plan::Plan>();
        plan->http = {port_to(plain_.port, plan::AppProtocol::Http1, client_port_),
                      port_to(spoken_.port, plan::AppProtocol::Http2, backend_port_)};
        if (!proxy_->publish(plan, Ingress::Bound).empty())
            give_up("the proxy does not listen");
        answering_ = std::thread([this] { answer_plainly(); });
    }
    ~Http2Peers()
    {
        ::shutdown(plain_.fd.get(), SHUT_RDWR);
        answering_.join();
    }
    Http2Peers(const Http2Peers&) = delete;
    Http2Peers& operator=(const Http2Peers&) = delete;

    // Null, or what is wrong: whatever was said, the connection ends and nothing of it is left.
    const char* violated_property(std::string_view input)
    {
        if (input.empty() || (input[0] != 'c' && input[0] != 'b'))
            return nullptr;
        const bool is_over = input[0] == 'c' ? speak_as_client(input.substr(1)) : speak_as_backend(input.substr(1));
        if (!is_over)
            return "the client waits for ever";
        const std::uint64_t deadline = monotonic_ms() + kWaitMs;
        while (proxy_->open_connections() != 0) {
            if (monotonic_ms() > deadline)
                return "the connection outlives its end";
            std::this_thread::yield();
        }
        return nullptr;
    }

private:
    static constexpr int kWaitMs = 5'000;
    struct Listener {
        Listener() : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))
        {
            sockaddr_in at = loopback(0);
            socklen_t size = sizeof at;
            if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(fd.get(), 64) != 0 ||
                ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0)
                give_up("no port");
            port = ntohs(at.sin_port);
        }
        UniqueFd fd;
        std::uint16_t port = 0;
    };

    [[noreturn]] static void give_up(const char* why)
    {
        std::fprintf(stderr, "%s\n", why);
        std::abort();
    }
    static sockaddr_in loopback(std::uint16_t port)
    {
        return {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    }
    static plan::HttpPort port_to(std::uint16_t backend, plan::AppProtocol protocol, std::uint16_t& port)
    {
        port = Listener().port;
        const IpAddress here = *IpAddress::parse("127.0.0.1");
        plan::HttpRule rule{.name = "r",
                            .backends = {{.name = "s", .endpoints = {{here, backend}}, .app_protocol = protocol}}};
        return {.addresses = {here}, .port = port, .listeners = {test::listener_to(rule, std::to_string(backend))}};
    }
    static UniqueFd connect_to(std::uint16_t port)
    {
        UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_in to = loopback(port);
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 &&
            !is_connected_later(fd.get())) {
            std::perror("connect");
            give_up("the proxy does not accept");
        }
        end_by_reset(fd.get());
        return fd;
    }
    // libFuzzer's clock interrupts a connect, which goes on by itself.
    static bool is_connected_later(int fd)
    {
        if (errno != EINTR)
            return false;
        pollfd connected{fd, POLLOUT, 0};
        while (::poll(&connected, 1, kWaitMs) < 0 && errno == EINTR)
            continue;
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        return (connected.revents & POLLOUT) != 0 && error == 0;
    }
    static void end_by_reset(int fd)  // no port is held for a minute
    {
        const linger now{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    // Sends what is taken; the other end may have given up.
    static void say(int fd, std::string_view bytes)
    {
        static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
    static std::string settings() { return {"\0\0\0\4\0\0\0\0\0", 9}; }

    bool speak_as_client(std::string_view bytes)
    {
        const UniqueFd client = connect_to(client_port_);
        say(client.get(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings() + std::string(bytes));
        ::shutdown(client.get(), SHUT_WR);
        return is_ended(client.get(), {}, false);
    }

    bool speak_as_backend(std::string_view bytes)
    {
        const UniqueFd client = connect_to(backend_port_);
        say(client.get(), "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        return is_ended(client.get(), settings() + std::string(bytes), true);
    }

    // Reads to the end; meanwhile every connection to the backend is told the same.
    bool is_ended(int client, const std::string& backend_says, bool has_backend)
    {
        const std::uint64_t deadline = monotonic_ms() + kWaitMs;
        std::array<char, 16'384> buffer;
        while (monotonic_ms() < deadline) {
            pollfd fds[] = {{client, POLLIN, 0}, {has_backend ? spoken_.fd.get() : -1, POLLIN, 0}};
            ::poll(fds, 2, kWaitMs);
            if (fds[1].revents != 0) {
                const UniqueFd backend(::accept4(spoken_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
                say(backend.get(), backend_says);
            }
            if (fds[0].revents != 0 && ::recv(client, buffer.data(), buffer.size(), 0) <= 0)
                return true;
        }
        return false;
    }

    // The HTTP/1 backend of the clients: an answer to every read.
    void answer_plainly() const
    {
        while (true) {
            pollfd ready{plain_.fd.get(), POLLIN, 0};
            ::poll(&ready, 1, -1);
            const UniqueFd backend(::accept4(plain_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!backend.valid() && errno == EINVAL)
                return;  // shut down
            if (!backend.valid())
                continue;
            end_by_reset(backend.get());
            std::array<char, 16'384> buffer;
            pollfd readable{backend.get(), POLLIN, 0};
            if (::poll(&readable, 1, 100) == 1 && ::recv(backend.get(), buffer.data(), buffer.size(), 0) > 0)
                say(backend.get(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    }

    Listener plain_;
    Listener spoken_;
    std::uint16_t client_port_ = 0;
    std::uint16_t backend_port_ = 0;
    std::unique_ptr<Proxy> proxy_;
    std::thread answering_;
};

}  // namespace sluice::proxy::fuzz
