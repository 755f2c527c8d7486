// SPDX-License-Identifier: Apache-2.0
// What the kernel tables should hold for a plan, before ids are given out. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/plan/plan.h"
#include "base/ip_address.h"

namespace sluice::apply {

// How a packet gets from this node to an address.
struct Reach {
    enum class Kind { Local, Remote, Self } kind = Kind::Remote;
    unsigned ifindex = 0;  // of the link, when Local
    bool operator==(const Reach&) const = default;
};
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
    bool operator==(const Group&) const = default;
};

struct Desired {
    std::map<std::string, Group> groups;   // by "namespace/gateway/listener IPv4" or "… IPv6"
    std::vector<ListenerKey> proxied;      // HTTP
    std::map<BackendKey, Reach> backends;  // of all groups that the kernel forwards
    bool operator==(const Desired&) const = default;
};

// `node_addresses` stand in for listeners without addresses, together with the loopback addresses.
[[nodiscard]] Desired make_desired(const plan::Plan& plan, const std::vector<IpAddress>& node_addresses,
                                   const Resolver& resolve);

}  // namespace sluice::apply
