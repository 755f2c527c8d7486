// SPDX-License-Identifier: Apache-2.0
// IP addresses and (address, port) pairs as plain values. IPv4 is held as an IPv4-mapped IPv6 address
// (RFC 4291 section 2.5.5.2), the form that the kernel tables and the dual-stack sockets use too.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

class IpAddress {
public:
    IpAddress() = default;  // "::", every address
    [[nodiscard]] static IpAddress from_bytes(const std::array<std::uint8_t, 16>& bytes) { return IpAddress(bytes); }
    [[nodiscard]] static IpAddress from_v4(std::uint32_t address_be);
    // Accepts what inet_pton accepts for either family, nothing else: no port, no zone, no prefix.
    [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);

    [[nodiscard]] bool is_v4() const;
    [[nodiscard]] bool is_any() const { return *this == IpAddress{} || *this == from_v4(0); }
    [[nodiscard]] bool is_loopback() const;
    [[nodiscard]] bool is_link_local() const;
    [[nodiscard]] bool is_multicast() const;
    [[nodiscard]] std::uint32_t v4_be() const;  // network order; only when is_v4()
    [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
    [[nodiscard]] std::string to_string() const;

    auto operator<=>(const IpAddress&) const = default;

private:
    explicit IpAddress(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}
    std::array<std::uint8_t, 16> bytes_{};  // network order
};

struct SocketAddress {
    IpAddress address;
    std::uint16_t port = 0;  // host order

    [[nodiscard]] std::string to_string() const;  // "192.0.2.1:80", "[2001:db8::1]:80"
    // AF_INET6 form, also for IPv4 (mapped): what a dual-stack socket takes.
    [[nodiscard]] sockaddr_in6 to_sockaddr6() const;
    // AF_INET for IPv4, AF_INET6 for IPv6. Returns the length in use.
    socklen_t to_sockaddr(sockaddr_storage& out) const;
    [[nodiscard]] static std::optional<SocketAddress> from_sockaddr(const sockaddr* address);
    auto operator<=>(const SocketAddress&) const = default;
};

// Spreads those of a cluster, which differ in few bits.
struct SocketAddressHash {
    std::size_t operator()(const SocketAddress& address) const;
};

}  // namespace sluice
