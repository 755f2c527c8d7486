// SPDX-License-Identifier: Apache-2.0
// What GatewayClass.status.supportedFeatures says (GEP-2162): features of the conformance suite, in the order of their
// names. Only what the suite was seen to pass stands here.
#pragma once

#include <array>
#include <string_view>

namespace sluice::source {

inline constexpr std::array<std::string_view, 18> kSupportedFeatures{"GRPCRoute",
                                                                     "Gateway",
                                                                     "HTTPRoute",
                                                                     "HTTPRoute303RedirectStatusCode",
                                                                     "HTTPRoute307RedirectStatusCode",
                                                                     "HTTPRoute308RedirectStatusCode",
                                                                     "HTTPRouteMethodMatching",
                                                                     "HTTPRoutePathRedirect",
                                                                     "HTTPRoutePortRedirect",
                                                                     "HTTPRouteQueryParamMatching",
                                                                     "HTTPRouteResponseHeaderModification",
                                                                     "HTTPRouteSchemeRedirect",
                                                                     "ReferenceGrant",
                                                                     "TCPRoute",
                                                                     "TLSRoute",
                                                                     "TLSRouteModeMixed",
                                                                     "TLSRouteModeTerminate",
                                                                     "UDPRoute"};

}  // namespace sluice::source
