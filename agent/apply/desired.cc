// SPDX-License-Identifier: Apache-2.0
#include "agent/apply/desired.h"

#include <netinet/in.h>

#include <algorithm>
#include <numeric>

namespace sluice::apply {
namespace {

std::vector<IpAddress> expand(const std::vector<IpAddress>& addresses, const std::vector<IpAddress>& node_addresses)
{
    if (!addresses.empty())
        return addresses;
    std::vector<IpAddress> all = node_addresses;
    for (const char* loopback : {"127.0.0.1", "::1"})  // clients on the node itself
        all.push_back(*IpAddress::parse(loopback));
    return all;
}

// Every backendRef keeps its weight, split evenly over its endpoints of the family. The common multiple of the
// endpoint counts keeps the split exact; it is bounded, for hostile counts, at a loss of precision below one slot.
std::vector<Share> make_shares(const plan::L4Listener& listener, bool v4, std::uint8_t proto)
{
    constexpr std::uint64_t kMultipleMax = 1U << 20;
    const auto of_family = [&](const SocketAddress& endpoint) { return endpoint.address.is_v4() == v4; };
    std::uint64_t multiple = 1;
    for (const plan::Backend& backend : listener.backends) {
        const auto count = static_cast<std::uint64_t>(std::ranges::count_if(backend.endpoints, of_family));
        if (count != 0 && std::lcm(multiple, count) <= kMultipleMax)
            multiple = std::lcm(multiple, count);
    }
    std::map<BackendKey, std::uint64_t> weights;
    std::uint64_t refused = 0;
    for (const plan::Backend& backend : listener.backends) {
        const std::uint64_t weight = backend.weight * multiple * 1024;
        const auto count = static_cast<std::uint64_t>(std::ranges::count_if(backend.endpoints, of_family));
        if (!backend.valid || count == 0) {
            refused += weight;
            continue;
        }
        for (const SocketAddress& endpoint : backend.endpoints) {
            if (of_family(endpoint))
                weights[{endpoint, proto}] += weight / count;
        }
    }
    std::vector<Share> shares;
    for (const auto& [backend, weight] : weights)
        shares.push_back({weight, backend, false});
    if (refused != 0)
        shares.push_back({refused, {}, true});
    return shares;
}

// Why the proxy has to relay this listener; empty when the kernel can forward.
std::string relay_reason(const plan::L4Listener& listener, bool v4, const Group& group, const Resolver& resolve)
{
    for (const plan::Backend& backend : listener.backends) {
        const auto same = [&](const SocketAddress& endpoint) { return endpoint.address.is_v4() == v4; };
        if (backend.valid && !backend.endpoints.empty() && std::ranges::none_of(backend.endpoints, same))
            return backend.name + " has no " + (v4 ? "IPv4" : "IPv6") + " endpoint: the proxy relays";
    }
    for (const Share& share : group.shares) {
        if (share.refused)
            continue;
        const Reach::Kind kind = resolve(share.backend.endpoint.address).kind;
        if (kind == Reach::Kind::Self)
            return share.backend.endpoint.to_string() + " is an address of this node: the proxy relays";
        if (kind == Reach::Kind::Raw)
            return share.backend.endpoint.to_string() +
                   " is reached by a link without Ethernet headers: the proxy relays";
    }
    return "";
}

void add_listener(const plan::L4Listener& listener, const std::vector<IpAddress>& addresses, bool v4,
                  const Resolver& resolve, Desired& out)
{
    const std::uint8_t proto = listener.protocol == plan::Protocol::Tcp ? IPPROTO_TCP : IPPROTO_UDP;
    Group group{.listener = listener.name,
                .keys = {},
                .only_loopback = true,
                .shares = make_shares(listener, v4, proto),
                .relayed = ""};
    for (const IpAddress& address : addresses) {
        if (address.is_v4() != v4)
            continue;
        group.keys.push_back({{address, listener.port}, proto});
        group.only_loopback = group.only_loopback && address.is_loopback();
    }
    if (group.keys.empty())
        return;
    group.relayed = relay_reason(listener, v4, group, resolve);
    if (group.relayed.empty()) {
        for (const Share& share : group.shares) {
            if (!share.refused)
                out.backends.emplace(share.backend, resolve(share.backend.endpoint.address));
        }
    }
    out.groups.emplace(listener.name + (v4 ? " IPv4" : " IPv6"), std::move(group));
}

}  // namespace

std::set<ListenerKey> keys_of(const Desired& desired)
{
    std::set<ListenerKey> keys;
    for (const auto& [name, group] : desired.groups)
        keys.insert(group.keys.begin(), group.keys.end());
    for (const auto& [key, listeners] : desired.proxied)
        keys.insert(key);
    return keys;
}

void leave_to_others(Desired& desired, const std::vector<IpAddress>& addresses)
{
    const auto is_theirs = [&](const ListenerKey& key) {
        return std::ranges::find(addresses, key.address.address) != addresses.end();
    };
    for (auto& [name, group] : desired.groups)
        std::erase_if(group.keys, is_theirs);
    std::erase_if(desired.groups, [](const auto& entry) { return entry.second.keys.empty(); });
    std::erase_if(desired.proxied, [&](const auto& entry) { return is_theirs(entry.first); });
    drop_unused_backends(desired);
}

void drop_unused_backends(Desired& desired)
{
    std::set<BackendKey> used;
    for (const auto& [name, group] : desired.groups)
        for (const Share& share : group.shares)
            used.insert(share.backend);
    std::erase_if(desired.backends, [&](const auto& entry) { return !used.contains(entry.first); });
}

Desired make_desired(const plan::Plan& plan, const std::vector<IpAddress>& node_addresses, const Resolver& resolve)
{
    Desired desired;
    for (const plan::L4Listener& listener : plan.l4) {
        const auto addresses = expand(listener.addresses, node_addresses);
        for (const bool v4 : {true, false})
            add_listener(listener, addresses, v4, resolve, desired);
    }
    const auto steer = [&](const auto& port, const auto& listeners, auto name) {
        for (const IpAddress& address : expand(port.addresses, node_addresses)) {
            auto& names = desired.proxied[{{address, port.port}, IPPROTO_TCP}];
            for (const auto& listener : listeners)
                names.insert(listener.*name);
        }
    };
    for (const plan::HttpPort& port : plan.http)
        steer(port, port.listeners, &plan::HttpListener::name);
    for (const plan::TlsPort& port : plan.tls)
        steer(port, port.hosts, &plan::TlsHost::listener);
    return desired;
}

}  // namespace sluice::apply
