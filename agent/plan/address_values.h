// SPDX-License-Identifier: Apache-2.0
// The entries of spec.addresses, one by one: what can be served at all, and how a Gateway is told what cannot.
#pragma once

#include <optional>
#include <string>

#include "agent/plan/state.h"

namespace sluice::plan {

constexpr const char* kIpAddressType = "IPAddress";
constexpr const char* kAddressNotUsable = "AddressNotUsable";
constexpr const char* kAddressNotAssigned = "AddressNotAssigned";

// Why `address` cannot be made local and served; null when it can.
[[nodiscard]] const char* address_problem(const IpAddress& address);

// Adds to what the Gateway is told. All messages are kept; of the reasons that of an address that can never be had goes
// before that of one that is not there yet.
void note_address(Verdict& verdict, const char* reason, const std::string& message);

[[nodiscard]] std::string address_field(std::size_t index);  // "spec.addresses[0]"

// False when the type of spec.addresses[index] is none that is served, which the Gateway is told.
[[nodiscard]] bool is_known_type(GatewayState& gateway, std::size_t index);

// The value of spec.addresses[index] when it can be served at all; otherwise the Gateway is told why not.
[[nodiscard]] std::optional<IpAddress> usable_value(GatewayState& gateway, std::size_t index);

}  // namespace sluice::plan
