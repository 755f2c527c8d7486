// SPDX-License-Identifier: Apache-2.0
// Between the agent's values and the layouts of maps/abi.h.
#pragma once

#include <arpa/inet.h>

#include <cstring>

#include "agent/apply/desired.h"
#include "maps/abi.h"

namespace sluice::apply {

[[nodiscard]] inline IpAddress from_words(const __be32 (&words)[4])
{
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), words, bytes.size());
    return IpAddress::from_bytes(bytes);
}

inline void to_words(const IpAddress& address, __be32 (&words)[4])
{
    std::memcpy(words, address.bytes().data(), sizeof words);
}

[[nodiscard]] inline sl_listener_key to_abi(const ListenerKey& key)
{
    sl_listener_key result{};
    to_words(key.address.address, result.addr_be);
    result.port_be = htons(key.address.port);
    result.proto = key.proto;
    return result;
}

[[nodiscard]] inline ListenerKey from_abi(const sl_listener_key& key)
{
    return {{from_words(key.addr_be), ntohs(key.port_be)}, key.proto};
}

// Of layouts without padding.
template <class Layout> [[nodiscard]] bool same_bytes(const Layout& a, const Layout& b)
{
    return std::memcmp(&a, &b, sizeof a) == 0;
}

[[nodiscard]] inline BackendKey key_of(const sl_backend& backend)
{
    return {{from_words(backend.addr_be), ntohs(backend.port_be)}, backend.proto};
}

}  // namespace sluice::apply
