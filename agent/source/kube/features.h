// SPDX-License-Identifier: Apache-2.0
// What GatewayClass.status.supportedFeatures says (GEP-2162): features of the conformance suite, in the order of their
// names. Only what the suite was seen to pass stands here.
#pragma once

#include <array>
#include <string_view>

namespace sluice::source {

inline constexpr std::array<std::string_view, 7> kSupportedFeatures{
    "Gateway", "GRPCRoute", "HTTPRoute", "ReferenceGrant", "TCPRoute", "TLSRoute", "UDPRoute"};

}  // namespace sluice::source
