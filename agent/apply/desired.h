// SPDX-License-Identifier: Apache-2.0
// What the kernel tables should hold for a plan, before ids are given out. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/apply/reach.h"
#include "agent/plan/plan.h"
#include "base/ip_address.h"

namespace sluice::apply {

using Resolver = std::function<Reach(const IpAddress&)>;

struct BackendKey {
    SocketAddress endpoint;
    std::uint8_t proto = 0;
    auto operator<=>(const BackendKey&) const = default;
};

struct ListenerKey {
    SocketAddress address;
    std::uint8_t proto = 0;
    auto operator<=>(const ListenerKey&) const = default;
};

struct Share {
    std::uint64_t weight = 0;
    BackendKey backend;
    bool refused = false;  // no backend: reset or dropped
    bool operator==(const Share&) const = default;
};

// The addresses of one family of one listener: they share an id and a ring, whose backends are of that family, since
// the kernel does not translate between families.
struct Group {
    std::string listener;  // the plan's name
    std::vector<ListenerKey> keys;
    bool only_loopback = false;  // no address but those added for clients on the node itself
    std::vector<Share> shares;
    std::string relayed;  // why the proxy relays instead; empty: the kernel forwards
    std::string refused;  // why one of the shares is refused that has an endpoint; empty: none is
    bool operator==(const Group&) const = default;
};

struct Desired {
    std::map<std::string, Group> groups;  // by "namespace/gateway/listener IPv4" or "… IPv6"
    // HTTP and TLS, each with the plan's listeners that share it.
    std::map<ListenerKey, std::set<std::string>> proxied;
    std::map<BackendKey, Reach> backends;  // of all groups that the kernel forwards
    bool operator==(const Desired&) const = default;
};

// Of everything that is to be in the table of listeners.
[[nodiscard]] std::set<ListenerKey> keys_of(const Desired& desired);

// The addresses alone, of groups and what is proxied. `node_addresses` stand in for listeners without addresses,
// together with the loopback addresses.
[[nodiscard]] Desired make_listeners(const plan::Plan& plan, const std::vector<IpAddress>& node_addresses);

// Without these addresses, and the listeners that have no others.
void leave_to_others(Desired& desired, const std::vector<IpAddress>& addresses);

// The shares and backends of the groups. By then `desired` must have lost all addresses that this node does not serve:
// an endpoint that is served by one of its listeners is refused.
void add_backends(Desired& desired, const plan::Plan& plan, const Resolver& resolve);

}  // namespace sluice::apply
