// SPDX-License-Identifier: Apache-2.0
#include "agent/apply/desired.h"

#include <netinet/in.h>

#include <algorithm>
#include <numeric>
#include <utility>

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

// Whether the endpoint is what the plan's own listeners serve on this node. The relay would connect to itself, and that
// connection again, until it has no more.
class OwnListeners {
public:
    OwnListeners(std::set<ListenerKey> keys, const Resolver& resolve) : keys_(std::move(keys)), resolve_(resolve) {}
    [[nodiscard]] bool has(const SocketAddress& endpoint, std::uint8_t proto) const
    {
        return keys_.contains({endpoint, proto}) && resolve_(endpoint.address).kind == Reach::Kind::Self;
    }

private:
    std::set<ListenerKey> keys_;
    const Resolver& resolve_;
};

// Every backendRef keeps its weight, split evenly over its endpoints of the family. The common multiple of the
// endpoint counts keeps the split exact; it is bounded, for hostile counts, at a loss of precision below one slot.
void add_shares(const plan::L4Listener& listener, bool v4, std::uint8_t proto, const OwnListeners& own, Group& group)
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
            if (!of_family(endpoint))
                continue;
            if (own.has(endpoint, proto)) {
                refused += weight / count;
                group.refused = endpoint.to_string() + " is a listener of this node itself: its share is refused";
            } else {
                weights[{endpoint, proto}] += weight / count;
            }
        }
    }
    for (const auto& [backend, weight] : weights)
        group.shares.push_back({weight, backend, false});
    if (refused != 0)
        group.shares.push_back({refused, {}, true});
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

std::string group_name(const plan::L4Listener& listener, bool v4) { return listener.name + (v4 ? " IPv4" : " IPv6"); }

std::uint8_t proto_of(const plan::L4Listener& listener)
{
    return listener.protocol == plan::Protocol::Tcp ? IPPROTO_TCP : IPPROTO_UDP;
}

void add_group(const plan::L4Listener& listener, const std::vector<IpAddress>& addresses, bool v4, Desired& out)
{
    Group group{
        .listener = listener.name, .keys = {}, .only_loopback = true, .shares = {}, .relayed = "", .refused = ""};
    for (const IpAddress& address : addresses) {
        if (address.is_v4() != v4)
            continue;
        group.keys.push_back({{address, listener.port}, proto_of(listener)});
        group.only_loopback = group.only_loopback && address.is_loopback();
    }
    if (!group.keys.empty())
        out.groups.emplace(group_name(listener, v4), std::move(group));
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
}

Desired make_listeners(const plan::Plan& plan, const std::vector<IpAddress>& node_addresses)
{
    Desired desired;
    for (const plan::L4Listener& listener : plan.l4) {
        const auto addresses = expand(listener.addresses, node_addresses);
        for (const bool v4 : {true, false})
            add_group(listener, addresses, v4, desired);
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

void add_backends(Desired& desired, const plan::Plan& plan, const Resolver& resolve)
{
    const OwnListeners own(keys_of(desired), resolve);
    for (const plan::L4Listener& listener : plan.l4) {
        for (const bool v4 : {true, false}) {
            const auto group = desired.groups.find(group_name(listener, v4));
            if (group == desired.groups.end())
                continue;
            add_shares(listener, v4, proto_of(listener), own, group->second);
            group->second.relayed = relay_reason(listener, v4, group->second, resolve);
            if (!group->second.relayed.empty())
                continue;
            for (const Share& share : group->second.shares) {
                if (!share.refused)
                    desired.backends.emplace(share.backend, resolve(share.backend.endpoint.address));
            }
        }
    }
}

}  // namespace sluice::apply
