// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/addresses.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "agent/plan/address_values.h"
#include "agent/plan/ownership.h"
#include "agent/plan/pool_assigner.h"

namespace sluice::plan {
namespace {

constexpr std::size_t kStatusAddressesMax = 16;  // of the API

// The nodes' addresses that clients may know, in the order of the nodes; of this node alone where no Node is known.
std::vector<IpAddress> node_addresses(const model::Objects& objects, const NodeFacts& facts)
{
    std::vector<IpAddress> addresses;
    const std::set<std::string_view> members(facts.members.begin(), facts.members.end());
    if (facts.cluster)
        for (const model::Node& node : objects.nodes)
            if (members.contains(node.meta.name))
                addresses.insert(addresses.end(), node.addresses.begin(), node.addresses.end());
    if (addresses.empty())
        addresses = facts.addresses;
    if (facts.cluster && addresses.size() > kStatusAddressesMax)
        addresses.resize(kStatusAddressesMax);
    return addresses;
}

// Without pools: what the spec says, or the nodes' own. In a cluster the spec has the choice among those: whoever may
// write a Gateway is not who may take any address, a Service's or the API server's, to himself on every node.
void choose_without_pools(GatewayState& gateway, const std::vector<IpAddress>& served, const model::Objects& objects,
                          bool cluster)
{
    const auto is_of_node = [&](const IpAddress& address) {
        return std::ranges::any_of(objects.nodes, [&](const model::Node& node) {
            return std::ranges::find(node.addresses, address) != node.addresses.end();
        });
    };
    if (gateway.spec->addresses.empty())
        for (const IpAddress& address : served)
            gateway.status_addresses.push_back({kIpAddressType, address.to_string()});
    for (std::size_t i = 0; i < gateway.spec->addresses.size(); ++i) {
        const model::GatewayAddress& wanted = gateway.spec->addresses[i];
        if (!is_known_type(gateway, i))
            continue;
        if (wanted.value.empty()) {
            note_address(gateway.address_values, cluster ? kAddressNotAssigned : kAddressNotUsable,
                         address_field(i) + ".value is empty and there is no pool to take an address from; write an IP "
                                            "address");
            continue;
        }
        const auto address = usable_value(gateway, i);
        if (address && cluster && !is_of_node(*address))
            note_address(
                gateway.address_values, kAddressNotUsable,
                fmt::format("{}.value \"{}\" is no node's, and its class has no pool to take others from: a {} "
                            "gives it one",
                            address_field(i), wanted.value, model::NodeGatewayConfig::kKind));
        else if (address && std::ranges::find(gateway.addresses, *address) == gateway.addresses.end()) {
            gateway.addresses.push_back(*address);
            gateway.status_addresses.push_back(wanted);
        }
    }
}

// A Gateway whose parameters are missing for a while is to find its addresses again: they stay its own, unserved.
std::vector<IpAddress> leave_unserved(GatewayState& gateway, const NodeFacts& facts)
{
    if (!facts.cluster)
        return {};
    for (const IpAddress& address : gateway.spec->status_addresses)
        gateway.status_addresses.push_back({kIpAddressType, address.to_string()});
    return gateway.spec->status_addresses;
}

}  // namespace

void assign_addresses(std::vector<GatewayState>& gateways, const model::Objects& objects, const NodeFacts& facts)
{
    PoolAssigner assigner(objects, facts);
    const std::vector<IpAddress> of_nodes = node_addresses(objects, facts);
    for (GatewayState& gateway : gateways) {
        if (!gateway.parameters.ok()) {
            assigner.reserve(gateway, leave_unserved(gateway, facts));
        } else if (gateway.pools == nullptr) {
            choose_without_pools(gateway, of_nodes, objects, facts.cluster);
            assigner.reserve(gateway, gateway.addresses);
        }
    }
    for (GatewayState& gateway : gateways)
        if (gateway.parameters.ok() && gateway.pools != nullptr)
            assigner.add(gateway);
    assigner.run();
    for (GatewayState& gateway : gateways)
        std::ranges::sort(gateway.addresses);
}

std::vector<PoolAddress> pool_addresses(const std::vector<GatewayState>& gateways, const model::Objects& objects,
                                        const NodeFacts& facts)
{
    std::map<const model::NodeGatewayConfig*, std::vector<std::string>> members;
    std::vector<PoolAddress> result;
    for (const GatewayState& gateway : gateways) {
        if (!gateway.serves() || gateway.pools == nullptr)
            continue;
        const model::NodeGatewayConfig& config = *gateway.pools;
        const auto [eligible, is_new] = members.try_emplace(&config);
        if (is_new && facts.cluster && config.announcement == model::Announcement::L2)
            eligible->second = eligible_members(config, objects, facts);
        for (const IpAddress& address : gateway.addresses)
            result.push_back({.address = address,
                              .gateway = full_name(gateway.spec->meta),
                              .owner = std::string(owner_of(address, eligible->second)),
                              .announcement = config.announcement,
                              .interfaces = config.interfaces});
    }
    std::ranges::sort(result, {}, &PoolAddress::address);
    return result;
}

std::vector<IpAddress> local_addresses(const std::vector<GatewayState>& gateways, const std::vector<PoolAddress>& pool,
                                       const model::Objects& objects, const NodeFacts& facts)
{
    // A node's own address is served there alone: elsewhere it must lead to that node, perhaps to the API server.
    std::set<IpAddress> of_nodes;
    for (const model::Node& node : objects.nodes)
        of_nodes.insert(node.addresses.begin(), node.addresses.end());
    std::vector<IpAddress> addresses;
    for (const GatewayState& gateway : gateways)
        if (gateway.serves() && gateway.pools == nullptr)
            std::ranges::copy_if(gateway.addresses, std::back_inserter(addresses),
                                 [&](const IpAddress& address) { return !of_nodes.contains(address); });
    for (const PoolAddress& one : pool)
        if (!facts.cluster || one.announcement == model::Announcement::None || one.owner == facts.name)
            addresses.push_back(one.address);
    std::ranges::sort(addresses);
    const auto repeated = std::ranges::unique(addresses);
    addresses.erase(repeated.begin(), repeated.end());
    return addresses;
}

}  // namespace sluice::plan
