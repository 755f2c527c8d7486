// SPDX-License-Identifier: Apache-2.0
// Builds Ethernet frames and takes them apart again. Checksums are summed from scratch on both ways, so that they are
// an oracle for the programs' incremental ones.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"

namespace sluice::test {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint8_t kFin = 1;
constexpr std::uint8_t kSyn = 2;
constexpr std::uint8_t kRst = 4;
constexpr std::uint8_t kAck = 16;

struct Packet {
    IpAddress source;
    IpAddress destination;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint8_t proto = IPPROTO_TCP;
    std::uint8_t tcp_flags = kSyn;
    std::uint8_t ttl = 64;
    std::string payload = "payload";
    bool udp_checksum = true;
    bool ip_options = false;      // IPv4: four no-operations; IPv6: a destination options header
    bool more_fragments = false;  // the first fragment of several
};

struct Seen : Packet {
    bool ip_checksum_ok = false;
    bool l4_checksum_ok = false;  // true for UDP without one
};

namespace detail {

inline void put16(Bytes& out, unsigned value)
{
    out.push_back(static_cast<std::uint8_t>(value >> 8U));
    out.push_back(static_cast<std::uint8_t>(value));
}

inline unsigned get16(const Bytes& in, std::size_t at) { return static_cast<unsigned>(in[at] << 8U) | in[at + 1]; }

inline std::uint32_t sum16(const std::uint8_t* data, std::size_t size)
{
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < size; i++)
        sum += static_cast<std::uint32_t>(i % 2 == 0 ? data[i] << 8U : data[i]);
    return sum;
}

inline unsigned fold(std::uint32_t sum)
{
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16U);
    return sum;
}

inline std::uint32_t pseudo_sum(const IpAddress& source, const IpAddress& destination, unsigned proto,
                                std::size_t l4_bytes)
{
    // For IPv4 the mapped prefix must not count.
    const std::size_t skip = source.is_v4() ? 12 : 0;
    return sum16(source.bytes().data() + skip, 16 - skip) + sum16(destination.bytes().data() + skip, 16 - skip) +
           proto + static_cast<std::uint32_t>(l4_bytes);
}

inline void put_address(Bytes& out, const IpAddress& address)
{
    out.insert(out.end(), address.bytes().begin() + (address.is_v4() ? 12 : 0), address.bytes().end());
}

inline void set16(Bytes& out, std::size_t at, unsigned value)
{
    out[at] = static_cast<std::uint8_t>(value >> 8U);
    out[at + 1] = static_cast<std::uint8_t>(value);
}

inline Bytes build_l4(const Packet& packet)
{
    Bytes l4;
    put16(l4, packet.source_port);
    put16(l4, packet.destination_port);
    std::size_t check = 6;
    if (packet.proto == IPPROTO_TCP) {
        l4.insert(l4.end(), {1, 2, 3, 4, 5, 6, 7, 8, 0x50, packet.tcp_flags, 0xff, 0xff, 0, 0, 0, 0});
        check = 16;
    } else {
        put16(l4, static_cast<unsigned>(8 + packet.payload.size()));
        put16(l4, 0);
    }
    l4.insert(l4.end(), packet.payload.begin(), packet.payload.end());
    const std::uint32_t sum =
        pseudo_sum(packet.source, packet.destination, packet.proto, l4.size()) + sum16(l4.data(), l4.size());
    unsigned value = fold(sum) ^ 0xffffU;
    if (packet.proto == IPPROTO_UDP)
        value = !packet.udp_checksum ? 0 : value == 0 ? 0xffff : value;
    set16(l4, check, value);
    return l4;
}

}  // namespace detail

inline Bytes build(const Packet& packet)
{
    using namespace detail;
    const Bytes l4 = build_l4(packet);
    Bytes frame{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    if (packet.source.is_v4()) {
        const unsigned words = packet.ip_options ? 6 : 5;
        frame.insert(frame.end(), {8, 0, static_cast<std::uint8_t>(0x40U | words), 0});
        put16(frame, static_cast<unsigned>(words * 4 + l4.size()));
        put16(frame, 0x1234);
        put16(frame, packet.more_fragments ? 0x2000 : 0x4000);
        frame.insert(frame.end(), {packet.ttl, packet.proto, 0, 0});
        put_address(frame, packet.source);
        put_address(frame, packet.destination);
        if (packet.ip_options)
            frame.insert(frame.end(), {1, 1, 1, 1});
        set16(frame, 24, fold(sum16(frame.data() + 14, words * 4)) ^ 0xffffU);
    } else {
        const bool extension = packet.ip_options || packet.more_fragments;
        const std::uint8_t next = packet.more_fragments ? 44 : packet.ip_options ? 60 : packet.proto;
        frame.insert(frame.end(), {0x86, 0xdd, 0x60, 0, 0, 0});
        put16(frame, static_cast<unsigned>(l4.size() + (extension ? 8 : 0)));
        frame.insert(frame.end(), {next, packet.ttl});
        put_address(frame, packet.source);
        put_address(frame, packet.destination);
        if (packet.more_fragments)
            frame.insert(frame.end(), {packet.proto, 0, 0, 1, 0, 0, 0, 1});
        else if (packet.ip_options)
            frame.insert(frame.end(), {packet.proto, 0, 1, 4, 0, 0, 0, 0});
    }
    frame.insert(frame.end(), l4.begin(), l4.end());
    return frame;
}

// A frame without options or extension headers, as the programs send it on.
inline std::optional<Seen> take_apart(const Bytes& frame)
{
    using namespace detail;
    if (frame.size() < 14 + 20 + 8)
        return std::nullopt;
    Seen seen;
    const bool v4 = get16(frame, 12) == 0x0800;
    const std::size_t l4 = v4 ? 34 : 54;
    if (frame.size() < l4 + 8)
        return std::nullopt;
    if (v4) {
        std::uint32_t address = 0;
        std::memcpy(&address, frame.data() + 26, 4);
        seen.source = IpAddress::from_v4(address);
        std::memcpy(&address, frame.data() + 30, 4);
        seen.destination = IpAddress::from_v4(address);
        seen.ttl = frame[22];
        seen.proto = frame[23];
        seen.ip_checksum_ok = fold(sum16(frame.data() + 14, 20)) == 0xffff;
    } else {
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), frame.data() + 22, 16);
        seen.source = IpAddress::from_bytes(bytes);
        std::memcpy(bytes.data(), frame.data() + 38, 16);
        seen.destination = IpAddress::from_bytes(bytes);
        seen.ttl = frame[21];
        seen.proto = frame[20];
        seen.ip_checksum_ok = true;
    }
    seen.source_port = static_cast<std::uint16_t>(get16(frame, l4));
    seen.destination_port = static_cast<std::uint16_t>(get16(frame, l4 + 2));
    seen.udp_checksum = seen.proto == IPPROTO_UDP && get16(frame, l4 + 6) != 0;
    const std::uint32_t sum = pseudo_sum(seen.source, seen.destination, seen.proto, frame.size() - l4) +
                              sum16(frame.data() + l4, frame.size() - l4);
    seen.l4_checksum_ok = (seen.proto == IPPROTO_UDP && !seen.udp_checksum) || fold(sum) == 0xffff;
    return seen;
}

}  // namespace sluice::test
