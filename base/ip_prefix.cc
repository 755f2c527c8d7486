// SPDX-License-Identifier: Apache-2.0
#include "base/ip_prefix.h"

#include <charconv>

namespace sluice {

std::optional<IpPrefix> IpPrefix::parse(std::string_view text)
{
    constexpr unsigned kBits = 128;
    constexpr unsigned kV4Bits = 32;
    const std::size_t slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address)
        return std::nullopt;
    const unsigned bits_max = address->is_v4() ? kV4Bits : kBits;
    unsigned bits = bits_max;
    if (slash != std::string_view::npos) {
        const std::string_view length = text.substr(slash + 1);
        const auto parsed = std::from_chars(length.data(), length.data() + length.size(), bits);
        if (parsed.ec != std::errc{} || parsed.ptr != length.data() + length.size() || bits > bits_max)
            return std::nullopt;
    }
    return IpPrefix(*address, kBits - bits_max + bits);
}

bool IpPrefix::contains(const IpAddress& address) const
{
    const auto& ours = address_.bytes();
    const auto& theirs = address.bytes();
    for (std::size_t i = 0; i * 8 < bits_; ++i) {
        const std::size_t left = bits_ - i * 8;
        const auto mask = static_cast<std::uint8_t>(left >= 8 ? 0xff : 0xff << (8 - left));
        if (((ours[i] ^ theirs[i]) & mask) != 0)
            return false;
    }
    return true;
}

}  // namespace sluice
