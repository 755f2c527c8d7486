// SPDX-License-Identifier: Apache-2.0
// TLS: the certificates of Gateways and listeners, TLSRoutes, and the TLS ports that the proxy serves.
#pragma once

#include <vector>

#include "agent/plan/certificates.h"
#include "agent/plan/references.h"
#include "agent/plan/state.h"

namespace sluice::plan {

// Fills in how each accepted listener ends TLS and the Gateway's own client certificate, with their verdicts.
void resolve_certificates(GatewayState& gateway, const Certificates& certificates);

// Fills in the one rule and `resolved`.
void build_tls_rule(RouteState& route, References& references);

// The served TLS listeners by port and set of addresses, in that order.
[[nodiscard]] std::vector<TlsPort> build_tls_ports(const std::vector<GatewayState>& gateways);

}  // namespace sluice::plan
