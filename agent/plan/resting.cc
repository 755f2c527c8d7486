// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/resting.h"

#include <algorithm>

namespace sluice::plan {

void RestingAddresses::observe(const Plan& plan, std::uint64_t now_ms)
{
    std::vector<IpAddress> in_use;
    for (const PoolAddress& one : plan.pool_addresses)
        in_use.push_back(one.address);
    std::ranges::sort(in_use);
    for (const IpAddress& address : in_use_)
        if (!std::ranges::binary_search(in_use, address))
            until_ms_[address] = now_ms + kRestMs;
    // What is in use again (its Gateway asked for it by name) rests anew when it is given up.
    for (const IpAddress& address : in_use)
        until_ms_.erase(address);
    in_use_ = std::move(in_use);
}

std::vector<IpAddress> RestingAddresses::at(std::uint64_t now_ms)
{
    std::erase_if(until_ms_, [&](const auto& one) { return one.second <= now_ms; });
    std::vector<IpAddress> resting;
    for (const auto& [address, until_ms] : until_ms_)
        resting.push_back(address);
    return resting;
}

std::optional<std::uint64_t> RestingAddresses::next_end_ms() const
{
    std::optional<std::uint64_t> next;
    for (const auto& [address, until_ms] : until_ms_)
        next = std::min(next.value_or(until_ms), until_ms);
    return next;
}

}  // namespace sluice::plan
