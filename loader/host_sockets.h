// SPDX-License-Identifier: Apache-2.0
// The sockets of this network namespace on which other programs take what comes: TCP ones that listen, UDP ones without
// a peer. As /proc/net says; the kernel's own, such as a VXLAN link's, are among them.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/ip_address.h"

namespace sluice::loader {

struct HostSocket {
    std::uint8_t proto = 0;  // IPPROTO_TCP or IPPROTO_UDP
    SocketAddress local;     // "::" takes IPv4 too, unless the socket is IPV6_V6ONLY, which is not to be seen
    std::uint64_t inode = 0;
    bool operator==(const HostSocket&) const = default;
};

// Of one file of /proc/net: tcp, tcp6, udp or udp6. Lines that are not understood are passed over.
[[nodiscard]] std::vector<HostSocket> parse_host_sockets(std::string_view text, std::uint8_t proto);

// Without this process's own UDP sockets, which are the relay's. Of its TCP ones the admin endpoint's must not be taken
// from it either.
[[nodiscard]] std::vector<HostSocket> host_sockets();

}  // namespace sluice::loader
