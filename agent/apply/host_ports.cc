// SPDX-License-Identifier: Apache-2.0
#include "agent/apply/host_ports.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

namespace sluice::apply {
namespace {

bool serves(const loader::HostSocket& socket, const ListenerKey& key)
{
    const IpAddress& bound = socket.local.address;
    return socket.proto == key.proto && socket.local.port == key.address.port &&
           (bound == key.address.address || bound == IpAddress{} || (bound.is_any() && key.address.address.is_v4()));
}

std::string reason(const ListenerKey& key)
{
    return fmt::format("{} port {} of {} is in use on this node already; another port is accepted, or addresses for "
                       "Gateways alone (a {} with pools)",
                       key.proto == IPPROTO_TCP ? "TCP" : "UDP", key.address.port, key.address.address.to_string(),
                       model::NodeGatewayConfig::kKind);
}

// Returns the plan's listeners that lose more than a loopback address.
std::map<std::string, std::string> remove(Desired& desired, const std::set<ListenerKey>& taken)
{
    std::map<std::string, std::string> losers;
    const auto is_lost = [&](const ListenerKey& key, const auto& listeners) {
        if (!taken.contains(key))
            return false;
        if (!key.address.address.is_loopback())
            for (const std::string& listener : listeners)
                losers.emplace(listener, reason(key));
        return true;
    };
    for (auto& [name, group] : desired.groups)
        std::erase_if(group.keys, [&, &listener = group.listener](const ListenerKey& key) {
            return is_lost(key, std::span(&listener, 1));
        });
    std::erase_if(desired.groups, [](const auto& entry) { return entry.second.keys.empty(); });
    std::erase_if(desired.proxied, [&](const auto& entry) { return is_lost(entry.first, entry.second); });
    return losers;
}

}  // namespace

std::map<std::string, std::string> HostPorts::yield_taken(Desired& desired,
                                                          const std::vector<IpAddress>& node_addresses)
{
    const std::set<ListenerKey> keys = keys_of(desired);
    std::erase_if(ours_, [&](const ListenerKey& key) { return !keys.contains(key); });
    std::set<ListenerKey> asked;
    for (const ListenerKey& key : keys) {
        const IpAddress& address = key.address.address;
        const bool of_host =
            address.is_loopback() || std::ranges::find(node_addresses, address) != node_addresses.end();
        if (of_host && !ours_.contains(key))
            asked.insert(key);
    }
    std::set<ListenerKey> taken;
    if (!asked.empty()) {
        const auto sockets = look_();
        for (const ListenerKey& key : asked)
            if (std::ranges::any_of(sockets, [&](const auto& socket) { return serves(socket, key); }))
                taken.insert(key);
    }
    std::ranges::set_difference(keys, taken, std::inserter(ours_, ours_.end()));
    return remove(desired, taken);
}

}  // namespace sluice::apply
