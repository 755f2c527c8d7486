// SPDX-License-Identifier: Apache-2.0
// How a connection came, and whether what was agreed on then still fits its requests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/plan/plan.h"
#include "agent/proxy/snapshot.h"

namespace sluice::proxy {

// Where a request came from.
struct Arrival {
    SocketAddress local;
    std::string peer;  // its address, as X-Forwarded-For has it
    bool tls = false;
    bool trusted = false;      // its X-Forwarded-* fields are believed
    std::string server_name;   // in lower case; empty: plain, or none was sent
    std::string tls_listener;  // whose certificate was shown, by the server name; empty: none in particular
    Shared<plan::TlsTermination> termination;  // that listener's at the handshake; none: plain
};

// Whether a request may be served on a connection; if not, the answer is 421 (RFC 9110 section 15.5.20).
enum class Fit : std::uint8_t {
    Good,
    Misdirected,  // another listener's or TLS route's host, over a connection that coalesces (GEP-3567)
    Outdated,  // the plan wants another connection now: with TLS, without it, by another listener or client certificate
};

// `target` is where connections like this one lead now, with an http_port; `listener` is the request's, null where
// there is none for its `authority`.
[[nodiscard]] Fit fit_of(const Arrival& from, const Snapshot::Target& target, std::string_view authority,
                         const plan::HttpListener* listener);

}  // namespace sluice::proxy
