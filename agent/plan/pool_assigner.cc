// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/pool_assigner.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/plan/address_values.h"
#include "agent/plan/ownership.h"

namespace sluice::plan {
namespace {

bool contains(const std::vector<IpAddress>& sorted, const IpAddress& address)
{
    return std::ranges::binary_search(sorted, address);
}

bool in_pools(const model::NodeGatewayConfig& config, const IpAddress& address)
{
    return std::ranges::any_of(config.pools, [&](const model::AddressPool& pool) {
        return std::ranges::any_of(pool.ranges, [&](const auto& range) { return range.contains(address); });
    });
}

bool has_family(const model::NodeGatewayConfig& config, bool v4)
{
    return std::ranges::any_of(config.pools, [&](const model::AddressPool& pool) {
        return std::ranges::any_of(pool.ranges, [&](const auto& range) { return range.is_v4() == v4; });
    });
}

std::string pool_names(const model::NodeGatewayConfig& config)
{
    std::string names;
    for (const model::AddressPool& pool : config.pools)
        names += (names.empty() ? "" : ", ") + pool.name;
    return fmt::format("{} {} (pools {})", model::NodeGatewayConfig::kKind, config.meta.name, names);
}

IpAddress next(const IpAddress& address)
{
    auto bytes = address.bytes();
    for (std::size_t i = bytes.size(); i-- > 0 && ++bytes[i] == 0;) {
    }
    return IpAddress::from_bytes(bytes);
}

}  // namespace

PoolAssigner::PoolAssigner(const model::Objects& objects, const NodeFacts& facts) : objects_(objects), facts_(facts)
{
    if (!facts.cluster)
        node_addresses_ = facts.addresses;
    for (const model::Node& node : objects.nodes)
        node_addresses_.insert(node_addresses_.end(), node.addresses.begin(), node.addresses.end());
    std::ranges::sort(node_addresses_);
}

void PoolAssigner::reserve(const GatewayState& gateway, const std::vector<IpAddress>& addresses)
{
    for (const IpAddress& address : addresses)
        taken_.emplace(address, &gateway);
}

void PoolAssigner::add(GatewayState& gateway) { applicants_.push_back({&gateway, wishes_of(gateway)}); }

void PoolAssigner::run()
{
    for (Applicant& each : applicants_)
        keep_held(each);
    if (!facts_.cluster || facts_.is_leader) {
        for (Applicant& each : applicants_)
            give_wanted(each);
        for (Applicant& each : applicants_)
            give_any(each);
    }
    for (Applicant& each : applicants_)
        settle(each);
}

std::vector<PoolAssigner::Wish> PoolAssigner::wishes_of(GatewayState& gateway)
{
    const model::NodeGatewayConfig& config = *gateway.pools;
    std::vector<Wish> wishes;
    if (gateway.spec->addresses.empty())
        for (const bool v4 : {true, false})
            if (has_family(config, v4))
                wishes.push_back({.index = {}, .value = {}, .v4 = v4, .given = {}});
    for (std::size_t i = 0; i < gateway.spec->addresses.size(); ++i) {
        if (!is_known_type(gateway, i))
            continue;
        if (gateway.spec->addresses[i].value.empty()) {
            wishes.push_back({.index = i, .value = {}, .v4 = true, .given = {}});
            continue;
        }
        const auto value = usable_value(gateway, i);
        if (!value || std::ranges::find(wishes, value, &Wish::value) != wishes.end())
            continue;
        if (in_pools(config, *value))
            wishes.push_back({.index = i, .value = value, .v4 = value->is_v4(), .given = {}});
        else
            note_address(gateway.address_values, kAddressNotUsable,
                         fmt::format("{}.value \"{}\" is not in {}", address_field(i), gateway.spec->addresses[i].value,
                                     pool_names(config)));
    }
    share_families(config, wishes);
    return wishes;
}

// Two empty values are one address of each family, where there are both.
void PoolAssigner::share_families(const model::NodeGatewayConfig& config, std::vector<Wish>& wishes)
{
    std::size_t v4 = 0;
    std::size_t v6 = 0;
    for (const Wish& wish : wishes)
        if (wish.value)
            ++(wish.v4 ? v4 : v6);
    for (Wish& wish : wishes) {
        if (!wish.index || wish.value)
            continue;
        wish.v4 = has_family(config, true) && (v4 <= v6 || !has_family(config, false));
        ++(wish.v4 ? v4 : v6);
    }
}

// What the Gateway has by its status; then, of those who give, what was given and is not written yet.
std::vector<IpAddress> PoolAssigner::held_by(const GatewayState& gateway) const
{
    std::vector<IpAddress> held;
    const std::string name = full_name(gateway.spec->meta);
    if (facts_.cluster)
        held = gateway.spec->status_addresses;
    if (!facts_.cluster || facts_.is_leader)
        for (const PoolAddress& one : facts_.assigned)
            if (one.gateway == name)
                held.push_back(one.address);
    return held;
}

bool PoolAssigner::take(Wish& wish, const GatewayState& gateway, const IpAddress& address)
{
    if (!taken_.emplace(address, &gateway).second)
        return false;
    wish.given = address;
    return true;
}

void PoolAssigner::keep_held(Applicant& applicant)
{
    const GatewayState& gateway = *applicant.gateway;
    for (const IpAddress& address : held_by(gateway)) {
        if (!in_pools(*gateway.pools, address) || contains(node_addresses_, address))
            continue;
        const auto find = [&](auto fits) {
            return std::ranges::find_if(applicant.wishes, [&](const Wish& wish) { return !wish.given && fits(wish); });
        };
        auto wish = find([&](const Wish& one) { return one.value == address; });
        if (wish == applicant.wishes.end())
            wish = find([&](const Wish& one) { return !one.value && one.v4 == address.is_v4(); });
        if (wish == applicant.wishes.end())
            wish = find([&](const Wish& one) { return !one.value && one.index; });
        if (wish != applicant.wishes.end())
            take(*wish, gateway, address);
    }
}

void PoolAssigner::give_wanted(Applicant& applicant)
{
    for (Wish& wish : applicant.wishes) {
        if (!wish.value || wish.given)
            continue;
        if (contains(node_addresses_, *wish.value))
            note_address(applicant.gateway->address_values, kAddressNotUsable,
                         fmt::format("{}.value \"{}\" is an address of a node", address_field(*wish.index),
                                     wish.value->to_string()));
        else if (!take(wish, *applicant.gateway, *wish.value))
            note_address(applicant.gateway->address_values, kAddressNotUsable,
                         fmt::format("{}.value \"{}\" is that of Gateway {}", address_field(*wish.index),
                                     wish.value->to_string(), full_name(taken_.at(*wish.value)->spec->meta)));
    }
}

void PoolAssigner::give_any(Applicant& applicant)
{
    const GatewayState& gateway = *applicant.gateway;
    for (Wish& wish : applicant.wishes) {
        if (wish.value || wish.given)
            continue;
        auto address = next_free(*gateway.pools, wish.v4);
        if (!address && wish.index)
            address = next_free(*gateway.pools, !wish.v4);
        if (address)
            take(wish, gateway, *address);
    }
}

std::optional<IpAddress> PoolAssigner::next_free(const model::NodeGatewayConfig& config, bool v4)
{
    for (const model::AddressPool& pool : config.pools)
        for (const model::AddressRange& range : pool.ranges)
            if (range.is_v4() == v4)
                if (const auto address = next_free(range))
                    return address;
    return std::nullopt;
}

// Nothing is given back in the course of a plan, so that no address is looked at twice.
std::optional<IpAddress> PoolAssigner::next_free(const model::AddressRange& range)
{
    auto& from = cursors_.try_emplace(&range, range.first).first->second;
    while (from) {
        const IpAddress address = *from;
        from = address == range.last ? std::nullopt : std::optional(next(address));
        if (!taken_.contains(address) && !contains(facts_.resting, address) && !contains(node_addresses_, address))
            return address;
    }
    return std::nullopt;
}

void PoolAssigner::settle(Applicant& applicant)
{
    GatewayState& gateway = *applicant.gateway;
    for (const Wish& wish : applicant.wishes)
        if (wish.given) {
            gateway.addresses.push_back(*wish.given);
            gateway.status_addresses.push_back(wish.value
                                                   ? gateway.spec->addresses[*wish.index]
                                                   : model::GatewayAddress{kIpAddressType, wish.given->to_string()});
        }
    report_missing(applicant);
    if (gateway.address_values.ok() && !has_owners(*gateway.pools))
        gateway.address_values = {"Pending",
                                  fmt::format("no node that is ready has the labels of spec.nodeSelector of {} {}",
                                              model::NodeGatewayConfig::kKind, gateway.pools->meta.name)};
}

void PoolAssigner::report_missing(const Applicant& applicant) const
{
    const bool follows = facts_.cluster && !facts_.is_leader;
    for (const Wish& wish : applicant.wishes) {
        // One family is enough where nothing is asked for.
        if (wish.given || (!wish.index && !applicant.gateway->addresses.empty()) || (wish.value && !follows))
            continue;
        const std::string what = wish.index ? address_field(*wish.index) + ": " : "";
        note_address(applicant.gateway->address_values, kAddressNotAssigned,
                     follows ? what + "waits for the node that assigns addresses"
                             : fmt::format("{}no address of {} is free; {} rest for a minute after use", what,
                                           pool_names(*applicant.gateway->pools), facts_.resting.size()));
        if (!wish.index)
            break;
    }
}

bool PoolAssigner::has_owners(const model::NodeGatewayConfig& config)
{
    if (!facts_.cluster || config.announcement == model::Announcement::None)
        return true;
    const auto [known, is_new] = has_owners_.try_emplace(&config);
    if (is_new)
        known->second = !eligible_members(config, objects_, facts_).empty();
    return known->second;
}

}  // namespace sluice::plan
