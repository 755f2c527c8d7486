// SPDX-License-Identifier: Apache-2.0
// Reads the server name out of a TLS ClientHello without taking part in the handshake: for routes that pass TLS
// through. Pure functions of the bytes; any thread. RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::proxy {

// A ClientHello that is not whole within so many bytes is refused.
constexpr std::size_t kClientHelloBytesMax = 16UL * 1024;

struct ClientHello {
    enum class Status : std::uint8_t {
        NeedMore,  // so far it may be one
        Found,
        NotTls,  // nor can it become one: other bytes, malformed, or too large
    };
    Status status = Status::NeedMore;
    // When Found. With encrypted ClientHello this is the outer, public name.
    std::string server_name;        // lower case; empty: none was sent
    std::vector<std::string> alpn;  // in the client's order
};

// `bytes` are all that the client has sent so far: call again with more after NeedMore.
[[nodiscard]] ClientHello parse_client_hello(std::string_view bytes);

}  // namespace sluice::proxy
