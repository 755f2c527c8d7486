// SPDX-License-Identifier: Apache-2.0
// A block of addresses, as in "192.0.2.0/24" or "2001:db8::/32".
#pragma once

#include <optional>
#include <string_view>

#include "base/ip_address.h"

namespace sluice {

class IpPrefix {
public:
    // ADDRESS/LENGTH, or ADDRESS alone for a block of one. Bits behind the length do not count.
    [[nodiscard]] static std::optional<IpPrefix> parse(std::string_view text);
    [[nodiscard]] bool contains(const IpAddress& address) const;

private:
    IpPrefix(const IpAddress& address, unsigned bits) : address_(address), bits_(bits) {}
    IpAddress address_;
    unsigned bits_;  // of 128: IPv4 is held mapped
};

}  // namespace sluice
