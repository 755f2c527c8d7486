// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/conflicts.h"

#include <fmt/format.h>

#include <map>
#include <set>

namespace sluice::plan {
namespace {

// All protocols but UDP share a port space.
using PortKey = std::pair<std::uint16_t, bool>;

PortKey port_key(const ListenerState& listener)
{
    return {listener.spec->port, listener.protocol == ListenerProtocol::Udp};
}

// Protocols that one port can serve side by side, told apart by the client's hostname. HTTPS and TLS both have it in
// the ClientHello, so that a port can end TLS for some names and pass others through.
enum class PortUse { Hosts, TlsHosts, Single };

PortUse port_use(ListenerProtocol protocol)
{
    switch (protocol) {
    case ListenerProtocol::Http: return PortUse::Hosts;
    case ListenerProtocol::Https:
    case ListenerProtocol::Tls: return PortUse::TlsHosts;
    default: return PortUse::Single;
    }
}

void mark_conflict(std::vector<ListenerState*>& listeners, const char* reason, const std::string& cause)
{
    std::string names;
    for (const ListenerState* listener : listeners)
        names += (names.empty() ? "" : ", ") + listener->spec->name;
    for (ListenerState* listener : listeners) {
        listener->conflict = {reason, fmt::format("port {}: {}; in conflict: {}", listener->spec->port, cause, names)};
        listener->accepted = listener->conflict;
    }
}

void resolve_within(GatewayState& gateway)
{
    std::map<PortKey, std::vector<ListenerState*>> ports;
    for (ListenerState& listener : gateway.listeners)
        if (listener.accepted.ok())
            ports[port_key(listener)].push_back(&listener);
    for (auto& [key, listeners] : ports) {
        std::set<PortUse> uses;
        std::map<std::string_view, std::vector<ListenerState*>> hosts;
        for (ListenerState* listener : listeners) {
            uses.insert(port_use(listener->protocol));
            hosts[listener->hostname].push_back(listener);
        }
        if (uses.size() > 1) {
            mark_conflict(listeners, "ProtocolConflict", "of HTTP, HTTPS, TLS and TCP only HTTPS and TLS can share it");
        } else if (*uses.begin() == PortUse::Single) {
            if (listeners.size() > 1)
                mark_conflict(listeners, "ProtocolConflict", "one listener of this protocol can have it");
        } else {
            for (auto& [hostname, same] : hosts)
                if (same.size() > 1)
                    mark_conflict(same, "HostnameConflict", fmt::format("hostname \"{}\" is used twice", hostname));
        }
    }
}

// The listeners served on one set of addresses and one port: one TCP or UDP listener, or several of different
// hostnames, each with the listener that has it.
struct Claim {
    PortUse use = PortUse::Single;
    std::vector<IpAddress> addresses;
    std::map<std::string_view, const ListenerState*> by_hostname;
};

// All claims on one port. No address is in two of them: a second claim on an address is a conflict.
struct PortClaims {
    std::map<std::vector<IpAddress>, Claim> claims;  // by the set of addresses; an empty set is every address
    std::map<IpAddress, const Claim*> by_address;

    // The claim that shares an address with this set.
    [[nodiscard]] const Claim* overlapping(const std::vector<IpAddress>& addresses) const
    {
        if (claims.empty())
            return nullptr;
        // An empty set sorts first, and stands alone where it is present.
        const Claim& first = claims.begin()->second;
        if (addresses.empty() || first.addresses.empty())
            return &first;
        for (const IpAddress& address : addresses)
            if (const auto found = by_address.find(address); found != by_address.end())
                return found->second;
        return nullptr;
    }
};

std::string_view namespace_of(const ListenerState& listener)
{
    return std::string_view(listener.name).substr(0, listener.name.find('/'));
}

// The names that cover every host of this one and more.
std::set<std::string> covering_names(std::string_view name)
{
    std::set<std::string> names = {""};
    for (std::size_t dot = name.find('.', 1); dot != std::string_view::npos; dot = name.find('.', dot + 1))
        names.insert("*" + std::string(name.substr(dot)));
    return names;
}

// The listener of an older Gateway in another namespace that serves these hosts among more; null: there is none. The
// more specific one would have them, taken from who cannot know of it.
const ListenerState* covering(const Claim& claim, const ListenerState& listener)
{
    for (const std::string& name : covering_names(listener.hostname)) {
        const auto held = claim.by_hostname.find(name);
        if (held != claim.by_hostname.end() && namespace_of(*held->second) != namespace_of(listener))
            return held->second;
    }
    return nullptr;
}

// The listener of an older Gateway that already has what `listener` wants; null when it is free.
const ListenerState* holder(const PortClaims& port, const GatewayState& gateway, const ListenerState& listener)
{
    const Claim* claim = port.overlapping(gateway.addresses);
    if (claim == nullptr)
        return nullptr;
    const auto same_host = claim->by_hostname.find(listener.hostname);
    const PortUse use = port_use(listener.protocol);
    const bool mergeable = use != PortUse::Single && claim->use == use && claim->addresses == gateway.addresses;
    if (mergeable && same_host == claim->by_hostname.end())
        return covering(*claim, listener);
    return same_host != claim->by_hostname.end() ? same_host->second : claim->by_hostname.begin()->second;
}

void claim_port(PortClaims& port, const GatewayState& gateway, ListenerState& listener)
{
    if (const ListenerState* older = holder(port, gateway, listener)) {
        listener.accepted = {
            "PortUnavailable",
            fmt::format("port {} is taken on the same address by listener {} ({}) of an older Gateway; "
                        "another port, another spec.addresses{} is accepted",
                        listener.spec->port, older->name, older->spec->protocol,
                        port_use(listener.protocol) != PortUse::Single ? " or another hostname" : "")};
        return;
    }
    Claim& claim = port.claims[gateway.addresses];
    claim.use = port_use(listener.protocol);
    claim.addresses = gateway.addresses;
    claim.by_hostname.emplace(listener.hostname, &listener);
    for (const IpAddress& address : gateway.addresses)
        port.by_address.emplace(address, &claim);
    listener.served = true;
}

}  // namespace

void resolve_conflicts(std::vector<GatewayState>& gateways)
{
    std::map<PortKey, PortClaims> ports;
    for (GatewayState& gateway : gateways) {
        resolve_within(gateway);
        if (!gateway.serves())
            continue;
        for (ListenerState& listener : gateway.listeners)
            if (listener.accepted.ok() && listener.usable && !listener.supported_kinds.empty())
                claim_port(ports[port_key(listener)], gateway, listener);
    }
}

}  // namespace sluice::plan
