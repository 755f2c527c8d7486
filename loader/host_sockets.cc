// SPDX-License-Identifier: Apache-2.0
#include "loader/host_sockets.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <system_error>

namespace sluice::loader {
namespace {

// States of the lines, as in the kernel's tcp_states.h; a UDP socket without a peer is in TCP_CLOSE.
constexpr const char* kTcpListen = "0A";
constexpr const char* kUdpWithoutPeer = "07";

template <class Number> std::optional<Number> parse_number(std::string_view text, int base)
{
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// "0100007F:0016" or 32 digits for IPv6: words of the address in network order, each printed as a number of this host.
std::optional<SocketAddress> parse_address(std::string_view text)
{
    constexpr std::size_t kWordDigits = 8;
    const std::size_t colon = text.find(':');
    if (colon != kWordDigits && colon != 4 * kWordDigits)
        return std::nullopt;
    std::array<std::uint32_t, 4> words{};
    for (std::size_t i = 0; i * kWordDigits < colon; ++i) {
        const auto word = parse_number<std::uint32_t>(text.substr(i * kWordDigits, kWordDigits), 16);
        if (!word)
            return std::nullopt;
        words[i] = *word;
    }
    const auto port = parse_number<std::uint16_t>(text.substr(colon + 1), 16);
    if (!port)
        return std::nullopt;
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), words.data(), bytes.size());
    return SocketAddress{colon == kWordDigits ? IpAddress::from_v4(words[0]) : IpAddress::from_bytes(bytes), *port};
}

std::set<std::uint64_t> own_inodes()
{
    std::set<std::uint64_t> inodes;
    std::error_code error;
    const std::string prefix = "socket:[";
    for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
         entry.increment(error)) {
        std::error_code gone;
        const std::string target = std::filesystem::read_symlink(entry->path(), gone);
        if (!gone && target.starts_with(prefix))
            inodes.insert(parse_number<std::uint64_t>(
                              std::string_view(target).substr(prefix.size(), target.size() - prefix.size() - 1), 10)
                              .value_or(0));
    }
    return inodes;
}

}  // namespace

std::vector<HostSocket> parse_host_sockets(std::string_view text, std::uint8_t proto)
{
    std::vector<HostSocket> sockets;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        const std::vector<std::string> field{std::istream_iterator<std::string>(fields), {}};
        // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
        if (field.size() < 10 || field[3] != (proto == IPPROTO_TCP ? kTcpListen : kUdpWithoutPeer))
            continue;
        const auto local = parse_address(field[1]);
        const auto inode = parse_number<std::uint64_t>(field[9], 10);
        if (local && inode)
            sockets.push_back({.proto = proto, .local = *local, .inode = *inode});
    }
    return sockets;
}

std::vector<HostSocket> host_sockets()
{
    std::vector<HostSocket> sockets;
    for (const auto& [file, proto] : {std::pair("tcp", IPPROTO_TCP), std::pair("tcp6", IPPROTO_TCP),
                                      std::pair("udp", IPPROTO_UDP), std::pair("udp6", IPPROTO_UDP)}) {
        // The thread's: the process may have begun in another network namespace.
        std::ifstream input(fmt::format("/proc/thread-self/net/{}", file));
        std::string text;
        // Those that listen come before all connections, of which there may be very many.
        for (std::string line; std::getline(input, line);) {
            text += line + "\n";
            if (proto == IPPROTO_TCP && text.size() > line.size() + 1 && line.find(" 0A ") == std::string::npos)
                break;
        }
        const auto found = parse_host_sockets(text, static_cast<std::uint8_t>(proto));
        sockets.insert(sockets.end(), found.begin(), found.end());
    }
    const std::set<std::uint64_t> own = own_inodes();
    std::erase_if(sockets,
                  [&](const HostSocket& socket) { return socket.proto == IPPROTO_UDP && own.contains(socket.inode); });
    return sockets;
}

}  // namespace sluice::loader
