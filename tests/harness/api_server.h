// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server that plays a Kubernetes API server which forgets, refuses and ends connections, as a real one
// cannot be made to. The test answers every request itself, in the order in which they come.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>
#include <utility>

#include "base/unique_fd.h"

namespace sluice::harness {

constexpr int kApiWaitMs = 10'000;

class ApiServer {
public:
    // A request that waits for its answer. The connection closes with it.
    class Call {
    public:
        Call(UniqueFd fd, std::string head, std::string body)
            : fd_(std::move(fd)), head_(std::move(head)), body_(std::move(body))
        {
        }
        // "GET /api/v1/…?limit=500"
        [[nodiscard]] std::string line() const { return head_.substr(0, head_.find(" HTTP/1.1")); }
        [[nodiscard]] const std::string& head() const { return head_; }
        [[nodiscard]] const std::string& body() const { return body_; }

        void answer(int status, const std::string& body, const std::string& fields = "")
        {
            send("HTTP/1.1 " + std::to_string(status) + " x\r\nConnection: close\r\n" + fields +
                 "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
            fd_.reset();
        }
        // A watch: its lines follow by send(), its end by close().
        void open() { send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"); }
        void send(const std::string& text)
        {
            EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
        }
        void close() { fd_.reset(); }
        // Whether the client gives the request up.
        [[nodiscard]] bool is_given_up() const
        {
            pollfd ended{.fd = fd_.get(), .events = POLLRDHUP, .revents = 0};
            return ::poll(&ended, 1, kApiWaitMs) == 1;
        }

    private:
        UniqueFd fd_;
        std::string head_;
        std::string body_;
    };

    ApiServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof name;
        EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
        EXPECT_EQ(::listen(listener_.get(), SOMAXCONN), 0);
        EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
        port_ = ntohs(name.sin_port);
    }

    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

    // Nobody is answered any more.
    void stop() { listener_.reset(); }
    [[nodiscard]] bool is_called(int wait_ms) const
    {
        pollfd called{.fd = listener_.get(), .events = POLLIN, .revents = 0};
        return ::poll(&called, 1, wait_ms) == 1;
    }
    // The next request.
    [[nodiscard]] Call next()
    {
        pollfd called{.fd = listener_.get(), .events = POLLIN, .revents = 0};
        EXPECT_EQ(::poll(&called, 1, kApiWaitMs), 1) << "no request comes";
        UniqueFd fd(called.revents != 0 ? ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC) : -1);
        std::string head;
        char byte = 0;
        while (fd.valid() && !head.ends_with("\r\n\r\n") && ::recv(fd.get(), &byte, 1, 0) == 1)
            head += byte;
        const std::size_t length = head.find("Content-Length: ");
        std::string body(length == head.npos ? 0 : std::stoul(head.substr(length + 16)), '\0');
        const ssize_t got = body.empty() ? 0 : ::recv(fd.get(), body.data(), body.size(), MSG_WAITALL);
        EXPECT_EQ(got, static_cast<ssize_t>(body.size()));
        return {std::move(fd), std::move(head), std::move(body)};
    }

private:
    UniqueFd listener_;
    std::uint16_t port_ = 0;
};

}  // namespace sluice::harness
