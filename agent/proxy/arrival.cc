// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/arrival.h"

#include "agent/proxy/router_hosts.h"
#include "agent/proxy/server_name.h"

namespace sluice::proxy {
namespace {

// Whether both ask the same of clients. Certificates may differ: a renewed one is no reason to part.
bool have_equal_demands(const Shared<plan::TlsTermination>& a, const Shared<plan::TlsTermination>& b)
{
    if (a.get() == b.get())
        return true;
    return a && b && a->client_auth == b->client_auth && a->client_ca_pem == b->client_ca_pem;
}

// GEP-3567: the host is another listener's, over a connection that coalesces. `listener` is null where there is none.
bool is_of_another(const Arrival& from, const plan::HttpListener* listener)
{
    return listener != nullptr && !from.tls_listener.empty() && listener->name != from.tls_listener;
}

// A connection outlives the plan that it was accepted by: what was agreed on then does not pass for what is asked now.
bool is_outdated(const Arrival& from, const plan::HttpPort& port, const plan::HttpListener* listener)
{
    if (from.tls != port.tls)
        return true;
    if (!from.tls || listener == nullptr)
        return false;
    if (!is_of_another(from, listener))
        return !have_equal_demands(from.termination, listener->tls);
    const plan::HttpListener* now = most_specific(port.listeners, from.server_name);
    return now == nullptr || now->name != from.tls_listener;
}

// The host is a TLS route's on the same port, whose backend has its connections for itself.
bool is_of_tls_route(const plan::TlsPort& port, std::string_view authority, const plan::HttpListener* listener)
{
    const plan::TlsHost* host = most_specific(port.hosts, RequestHost(authority).name());
    return host != nullptr && (listener == nullptr || plan::is_more_specific(host->hostname, listener->hostname));
}

}  // namespace

Fit fit_of(const Arrival& from, const Snapshot::Target& target, std::string_view authority,
           const plan::HttpListener* listener)
{
    if (is_outdated(from, *target.http_port, listener))
        return Fit::Outdated;
    const bool is_beside_tls_routes = from.tls && target.tls_port != nullptr;
    const bool is_misdirected = is_of_another(from, listener) ||
                                (is_beside_tls_routes && is_of_tls_route(*target.tls_port, authority, listener));
    return is_misdirected ? Fit::Misdirected : Fit::Good;
}

}  // namespace sluice::proxy
