// SPDX-License-Identifier: Apache-2.0
// A real Proxy on loopback with real sockets on both sides. A test plays the client and the backend itself, byte by
// byte. Every wait has a deadline; ports are the kernel's choice.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <string>

#include "agent/proxy/proxy.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "tests/harness/plans.h"

namespace sluice::test {

constexpr int kWaitMs = 5'000;

inline bool readable(int fd, int wait_ms = kWaitMs)
{
    pollfd poll_fd{fd, POLLIN, 0};
    return ::poll(&poll_fd, 1, wait_ms) == 1;
}

// One end of a TCP connection that the test drives.
class Peer {
public:
    Peer() = default;
    explicit Peer(int fd) : fd_(fd) {}
    // `receive_bytes`: how much it takes before it is read; 0: the system's default.
    static Peer connect(std::uint16_t port, int receive_bytes = 0)
    {
        Peer peer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (receive_bytes != 0)
            setsockopt(peer.fd(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
        sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        EXPECT_EQ(::connect(peer.fd_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
        return peer;
    }
    void send(const std::string& text) const
    {
        EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    // Reads until `end` has been seen, the peer closes, or the deadline is over; what was read.
    std::string read_until(const std::string& end)
    {
        while (seen_.find(end) == std::string::npos && readable(fd_.get())) {
            char part[16'384];
            const ssize_t count = ::recv(fd_.get(), part, sizeof part, 0);
            if (count <= 0)
                break;
            seen_.append(part, static_cast<std::size_t>(count));
        }
        const std::size_t at = seen_.find(end);
        const std::size_t size = at == std::string::npos ? seen_.size() : at + end.size();
        std::string text = seen_.substr(0, size);
        seen_.erase(0, size);
        return text;
    }
    // Everything until the peer closes.
    std::string read_all() { return read_until("\x01never sent\x01"); }
    [[nodiscard]] bool has_more(int wait_ms) const { return !seen_.empty() || readable(fd_.get(), wait_ms); }
    void reset()
    {
        const linger now{.l_onoff = 1, .l_linger = 0};
        setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        fd_.reset();
    }
    void close() { fd_.reset(); }
    void half_close() const { ::shutdown(fd_.get(), SHUT_WR); }
    [[nodiscard]] int fd() const { return fd_.get(); }

private:
    UniqueFd fd_;
    std::string seen_;
};

// A listening socket on loopback.
class Acceptor {
public:
    // `receive_bytes`: how much its connections take before they are read; 0: the system's default.
    explicit Acceptor(int receive_bytes = 0) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in at{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
        if (receive_bytes != 0)
            setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
        EXPECT_EQ(::listen(fd_.get(), 64), 0);
        socklen_t size = sizeof at;
        getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&at), &size);
        port_ = ntohs(at.sin_port);
    }
    [[nodiscard]] Peer accept() const
    {
        EXPECT_TRUE(readable(fd_.get())) << "the proxy does not connect to the backend";
        return Peer(readable(fd_.get(), 0) ? ::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC) : -1);
    }
    [[nodiscard]] bool is_called(int wait_ms) const { return readable(fd_.get(), wait_ms); }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    void close() { fd_.reset(); }

private:
    UniqueFd fd_;
    std::uint16_t port_ = 0;
};

class ProxyTest : public testing::TestWithParam<proxy::IoKind> {
protected:
    void SetUp() override { start({}); }
    void start(const proxy::Limits& limits)
    {
        proxy_.reset();
        auto made = proxy::Proxy::make({.io = GetParam(), .workers = 1, .limits = limits});
        ASSERT_TRUE(made) << to_string(made.error());
        proxy_ = *std::move(made);
    }
    static SocketAddress at(std::uint16_t port) { return {*IpAddress::parse("127.0.0.1"), port}; }
    static plan::Backend backend(std::vector<SocketAddress> endpoints, bool valid = true)
    {
        return {.name = "default/s:80",
                .weight = 1,
                .valid = valid,
                .invalid_reason = "",
                .endpoints = std::move(endpoints)};
    }
    // One HTTP listener whose prefix "/" leads to `rule`.
    static std::shared_ptr<plan::Plan> plan_on(std::uint16_t port, plan::HttpRule rule)
    {
        auto plan = std::make_shared<plan::Plan>();
        plan->http.push_back({.addresses = {*IpAddress::parse("127.0.0.1")},
                              .port = port,
                              .listeners = {listener_to(std::move(rule), "default/g/http")}});
        return plan;
    }
    // Publishes it; returns its port.
    std::uint16_t serve(plan::HttpRule rule)
    {
        const std::uint16_t port = free_port();
        EXPECT_TRUE(proxy_->publish(plan_on(port, std::move(rule)), proxy::Ingress::Bound).empty());
        return port;
    }
    std::uint16_t serve_tcp(std::vector<plan::Backend> backends)
    {
        auto plan = std::make_shared<plan::Plan>();
        plan->l4.push_back({.name = "default/g/tcp",
                            .addresses = {*IpAddress::parse("127.0.0.1")},
                            .port = free_port(),
                            .protocol = plan::Protocol::Tcp,
                            .route = "default/r",
                            .backends = std::move(backends)});
        EXPECT_TRUE(proxy_->publish(plan, proxy::Ingress::Bound).empty());
        return plan->l4.front().port;
    }
    static std::uint16_t free_port() { return Acceptor().port(); }
    static plan::HttpRule to(const Acceptor& acceptor, std::uint32_t timeout_ms = 0)
    {
        return {.name = "r", .backends = {backend({at(acceptor.port())})}, .request_timeout_ms = timeout_ms};
    }
    // The same by HTTP/2 with prior knowledge.
    static plan::HttpRule to_http2(const Acceptor& acceptor, std::uint32_t timeout_ms = 0)
    {
        plan::HttpRule rule = to(acceptor, timeout_ms);
        rule.backends.front().app_protocol = plan::AppProtocol::Http2;
        return rule;
    }
    std::unique_ptr<proxy::Proxy> proxy_;
};

inline std::string io_name(const testing::TestParamInfo<proxy::IoKind>& kind)
{
    return kind.param == proxy::IoKind::IoUring ? "io_uring" : "epoll";
}

}  // namespace sluice::test
