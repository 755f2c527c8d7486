// SPDX-License-Identifier: Apache-2.0
#include "base/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sluice {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

IpAddress IpAddress::from_v4(std::uint32_t address_be)
{
    IpAddress result;
    std::ranges::copy(kMappedPrefix, result.bytes_.begin());
    std::memcpy(&result.bytes_[12], &address_be, 4);
    return result;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text)
{
    const std::string terminated(text);
    if (terminated.size() != std::strlen(terminated.c_str()))
        return std::nullopt;
    std::uint32_t v4 = 0;
    if (inet_pton(AF_INET, terminated.c_str(), &v4) == 1)
        return from_v4(v4);
    std::array<std::uint8_t, 16> v6{};
    if (inet_pton(AF_INET6, terminated.c_str(), v6.data()) == 1)
        return from_bytes(v6);
    return std::nullopt;
}

bool IpAddress::is_v4() const { return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin()); }

bool IpAddress::is_loopback() const
{
    if (is_v4())
        return bytes_[12] == 127;
    return std::all_of(bytes_.begin(), bytes_.end() - 1, [](auto b) { return b == 0; }) && bytes_[15] == 1;
}

bool IpAddress::is_link_local() const
{
    if (is_v4())
        return bytes_[12] == 169 && bytes_[13] == 254;
    return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_multicast() const { return is_v4() ? (bytes_[12] & 0xf0) == 0xe0 : bytes_[0] == 0xff; }

std::uint32_t IpAddress::v4_be() const
{
    std::uint32_t result = 0;
    std::memcpy(&result, &bytes_[12], 4);
    return result;
}

std::string IpAddress::to_string() const
{
    char text[INET6_ADDRSTRLEN] = {};
    if (is_v4()) {  // by hand: once a proxied request, and inet_ntop takes a hundred nanoseconds
        char* end = text;
        for (std::size_t i = 12; i < bytes_.size(); ++i) {
            if (i > 12 && end < text + sizeof text)  // never more: gcc 12 cannot see that octets are short
                *end++ = '.';
            end = std::to_chars(end, text + sizeof text, bytes_[i]).ptr;
        }
        return {text, end};
    }
    inet_ntop(AF_INET6, bytes_.data(), text, sizeof text);
    return text;
}

std::string SocketAddress::to_string() const
{
    const std::string host = address.to_string();
    return (address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

sockaddr_in6 SocketAddress::to_sockaddr6() const
{
    sockaddr_in6 result{};
    result.sin6_family = AF_INET6;
    result.sin6_port = htons(port);
    std::memcpy(&result.sin6_addr, address.bytes().data(), 16);
    return result;
}

socklen_t SocketAddress::to_sockaddr(sockaddr_storage& out) const
{
    std::memset(&out, 0, sizeof out);
    if (!address.is_v4()) {
        const sockaddr_in6 v6 = to_sockaddr6();
        std::memcpy(&out, &v6, sizeof v6);
        return sizeof v6;
    }
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = address.v4_be();
    std::memcpy(&out, &v4, sizeof v4);
    return sizeof v4;
}

std::optional<SocketAddress> SocketAddress::from_sockaddr(const sockaddr* address)
{
    if (address->sa_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, address, sizeof v4);
        return SocketAddress{IpAddress::from_v4(v4.sin_addr.s_addr), ntohs(v4.sin_port)};
    }
    if (address->sa_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, address, sizeof v6);
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &v6.sin6_addr, 16);
        return SocketAddress{IpAddress::from_bytes(bytes), ntohs(v6.sin6_port)};
    }
    return std::nullopt;
}

std::size_t SocketAddressHash::operator()(const SocketAddress& address) const
{
    std::uint64_t halves[2];
    std::memcpy(halves, address.address.bytes().data(), sizeof halves);
    return (halves[0] ^ (halves[1] + address.port)) * 0x9e3779b97f4a7c15ULL >> 16U;
}

}  // namespace sluice
