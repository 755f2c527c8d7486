// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/address_values.h"

#include <fmt/format.h>

namespace sluice::plan {

const char* address_problem(const IpAddress& address)
{
    if (address.is_any())
        return "is the unspecified address";
    if (address.is_loopback())
        return "is a loopback address";
    if (address.is_multicast())
        return "is a multicast address";
    if (address.is_link_local())
        return "is a link-local address";
    if (address.is_v4() && address.bytes()[12] >= 240)
        return "is a reserved address";
    return nullptr;
}

void note_address(Verdict& verdict, const char* reason, const std::string& message)
{
    if (verdict.reason != kAddressNotUsable)
        verdict.reason = reason;
    verdict.message += (verdict.message.empty() ? "" : "; ") + message;
}

std::string address_field(std::size_t index) { return fmt::format("spec.addresses[{}]", index); }

std::optional<IpAddress> usable_value(GatewayState& gateway, std::size_t index)
{
    const model::GatewayAddress& wanted = gateway.spec->addresses[index];
    const auto address = IpAddress::parse(wanted.value);
    const char* problem = address ? address_problem(*address) : "is not an IPv4 or IPv6 address";
    if (problem == nullptr)
        return address;
    note_address(
        gateway.address_values, kAddressNotUsable,
        fmt::format("{}.value \"{}\" {}; a unicast address is needed", address_field(index), wanted.value, problem));
    return std::nullopt;
}

bool is_known_type(GatewayState& gateway, std::size_t index)
{
    const std::string& type = gateway.spec->addresses[index].type;
    if (type == kIpAddressType)
        return true;
    note_address(gateway.address_types, "UnsupportedAddress",
                 fmt::format("{}.type \"{}\" is not supported; {} is", address_field(index), type, kIpAddressType));
    return false;
}

}  // namespace sluice::plan
