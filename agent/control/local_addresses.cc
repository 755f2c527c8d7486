// SPDX-License-Identifier: Apache-2.0
#include "agent/control/local_addresses.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sluice::control {
namespace {

std::optional<unsigned> lifetime_of(bool owned) { return owned ? std::optional(kOwnedLifetimeS) : std::nullopt; }

}  // namespace

std::map<IpAddress, std::string> LocalAddresses::add(const std::vector<IpAddress>& wanted,
                                                     const std::vector<IpAddress>& owned)
{
    std::map<IpAddress, std::string> failed;
    for (const IpAddress& address : wanted) {
        const bool is_owned = std::ranges::binary_search(owned, address);
        const auto known = ours_.find(address);
        if (known != ours_.end()) {
            if (std::exchange(known->second, is_owned) != is_owned)
                set_lifetime(address, lifetime_of(is_owned));
            continue;
        }
        const auto added = network_->add_local_address(address, lifetime_of(is_owned));
        if (!added) {
            failed.emplace(address, to_string(added.error()));
            continue;
        }
        if (*added == loader::Network::Local::OfOperator)
            continue;
        // Also an owned one that was there: another node may have announced it while nobody here extended it.
        const bool inherits = *added == loader::Network::Local::OfAgent;
        if (!inherits || is_owned)
            added_.push_back(address);
        if (inherits)
            set_lifetime(address, lifetime_of(is_owned));
        ours_.emplace(address, is_owned);
    }
    return failed;
}

void LocalAddresses::set_lifetime(const IpAddress& address, std::optional<unsigned> lifetime_s)
{
    if (auto extended = network_->extend_local_address(address, lifetime_s); !extended)
        spdlog::warn("{}", to_string(extended.error()));
}

void LocalAddresses::extend_owned(unsigned lifetime_s)
{
    for (const auto& [address, owned] : ours_)
        if (owned)
            set_lifetime(address, lifetime_s);
}

bool LocalAddresses::has_owned() const
{
    return std::ranges::any_of(ours_, [](const auto& one) { return one.second; });
}

void LocalAddresses::remove_unwanted(const std::vector<IpAddress>& wanted)
{
    for (auto address = ours_.begin(); address != ours_.end();) {
        if (std::ranges::find(wanted, address->first) != wanted.end()) {
            ++address;
            continue;
        }
        if (auto removed = network_->remove_local_address(address->first); !removed)
            spdlog::warn("{}", to_string(removed.error()));
        address = ours_.erase(address);
    }
}

void LocalAddresses::remove(const std::vector<IpAddress>& given_away)
{
    std::vector<IpAddress> kept;
    for (const auto& [address, owned] : ours_)
        if (!std::ranges::binary_search(given_away, address))
            kept.push_back(address);
    remove_unwanted(kept);
}

std::vector<IpAddress> LocalAddresses::take_added() { return std::exchange(added_, {}); }

std::vector<IpAddress> owned_addresses(const plan::Plan& plan)
{
    std::vector<IpAddress> owned;
    for (const plan::PoolAddress& one : plan.pool_addresses)
        if (!one.owner.empty() && std::ranges::binary_search(plan.addresses, one.address))
            owned.push_back(one.address);
    return owned;
}

void announce(loader::Announcer& announcer, const std::vector<IpAddress>& added, const plan::Plan& plan,
              const std::vector<loader::Link>& links, const std::vector<unsigned>& uplinks)
{
    const std::vector<IpAddress> owned = owned_addresses(plan);
    for (const plan::PoolAddress& one : plan.pool_addresses) {
        if (!std::ranges::binary_search(owned, one.address)) {
            announcer.withdraw(one.address);
            continue;
        }
        if (std::ranges::find(added, one.address) == added.end())
            continue;
        std::vector<unsigned> on;
        for (const loader::Link& link : links)
            if (one.interfaces.empty() ? std::ranges::find(uplinks, link.ifindex) != uplinks.end()
                                       : std::ranges::find(one.interfaces, link.name) != one.interfaces.end())
                on.push_back(link.ifindex);
        spdlog::info("{} of Gateway {} is on this node now", one.address.to_string(), one.gateway);
        if (auto sent = announcer.announce(one.address, std::move(on)); !sent)
            spdlog::warn("{}", to_string(sent.error()));
    }
}

}  // namespace sluice::control
