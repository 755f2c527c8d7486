// SPDX-License-Identifier: Apache-2.0
#include "loader/host_sockets.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/unique_fd.h"

namespace sluice::loader {
namespace {

SocketAddress at(const char* address, std::uint16_t port) { return {*IpAddress::parse(address), port}; }

TEST(HostSockets, TcpOnesThatListenAreReadFromBothFiles)
{
    EXPECT_EQ(
        parse_host_sockets(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
            "   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1078 1 0 100 "
            "0\n"
            "   1: 010200C0:01BB 020200C0:9C40 01 00000000:00000000 00:00000000 00000000     0        0 1079 1 0 100 "
            "0\n"
            "   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1080 1 0 100 "
            "0\n",
            IPPROTO_TCP),
        (std::vector<HostSocket>{{IPPROTO_TCP, at("127.0.0.1", 22), 1078}, {IPPROTO_TCP, at("0.0.0.0", 80), 1080}}));
    EXPECT_EQ(parse_host_sockets("   0: B80D0120000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A "
                                 "00000000:00000000 00:00000000 00000000     0        0 7 1 0 100 0\n",
                                 IPPROTO_TCP),
              (std::vector<HostSocket>{{IPPROTO_TCP, at("2001:db8::1", 8080), 7}}));
}

TEST(HostSockets, UdpOnesWithoutAPeerAreReadAndNoOthers)
{
    EXPECT_EQ(
        parse_host_sockets("  0: 010200C0:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000  0  0 5 2 0 0\n"
                           "  1: 010200C0:9999 08080808:0035 01 00000000:00000000 00:00000000 00000000  0  0 6 2 0 0\n",
                           IPPROTO_UDP),
        (std::vector<HostSocket>{{IPPROTO_UDP, at("192.0.2.1", 53), 5}}));
}

TEST(HostSockets, WhatIsNoSuchLineIsPassedOver)
{
    for (const char* text : {"", "\n\n", "0:", "0: 0100007F 0 0A 0 0 0 0 0 0", "0: 0100007F:10016 0 0A 0 0 0 0 0 9",
                             "0: ZZ00007F:0016 0 0A 0 0 0 0 0 9", "0: 0100007F:0016 0 0A 0 0 0 0 0 x"})
        EXPECT_TRUE(parse_host_sockets(text, IPPROTO_TCP).empty()) << text;
}

// A socket of a process of its own, or of this one, with a port that the kernel chose.
UniqueFd open_socket(int type, SocketAddress& address)
{
    UniqueFd fd(::socket(AF_INET6, type | SOCK_CLOEXEC, 0));
    sockaddr_in6 name = address.to_sockaddr6();
    socklen_t size = sizeof name;
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), size), 0);
    if (type == SOCK_STREAM) {
        EXPECT_EQ(::listen(fd.get(), 1), 0);
    }
    EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
    address.port = ntohs(name.sin6_port);
    return fd;
}

bool is_seen(std::uint8_t proto, const SocketAddress& address)
{
    return std::ranges::any_of(
        host_sockets(), [&](const HostSocket& socket) { return socket.proto == proto && socket.local == address; });
}

TEST(HostSockets, AnotherProcesssAreSeenAndOnesOwnUnlessByUdp)
{
    for (const auto& [type, proto] : {std::pair(SOCK_STREAM, IPPROTO_TCP), std::pair(SOCK_DGRAM, IPPROTO_UDP)}) {
        for (const char* text : {"::", "127.0.0.1"}) {
            SCOPED_TRACE(text);
            SocketAddress address = at(text, 0);
            UniqueFd fd = open_socket(type, address);
            EXPECT_EQ(is_seen(static_cast<std::uint8_t>(proto), address), proto == IPPROTO_TCP);
            const pid_t other = ::fork();  // has it as well, and is soon the only one
            if (other == 0) {
                ::pause();
                ::_exit(0);
            }
            fd.reset();
            EXPECT_TRUE(is_seen(static_cast<std::uint8_t>(proto), address));
            ::kill(other, SIGKILL);
            ::waitpid(other, nullptr, 0);
            EXPECT_FALSE(is_seen(static_cast<std::uint8_t>(proto), address));
        }
    }
}

}  // namespace
}  // namespace sluice::loader
