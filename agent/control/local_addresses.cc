// SPDX-License-Identifier: Apache-2.0
#include "agent/control/local_addresses.h"

#include <algorithm>

#include "base/log.h"

namespace sluice::control {

std::map<IpAddress, std::string> LocalAddresses::add(const std::vector<IpAddress>& wanted)
{
    std::map<IpAddress, std::string> failed;
    for (const IpAddress& address : wanted) {
        if (ours_.contains(address))
            continue;
        const auto added = network_->add_local_address(address);
        if (!added)
            failed.emplace(address, to_string(added.error()));
        else if (added->added || inherit_)
            ours_.insert(address);
    }
    return failed;
}

void LocalAddresses::remove_unwanted(const std::vector<IpAddress>& wanted)
{
    for (auto address = ours_.begin(); address != ours_.end();) {
        if (std::ranges::find(wanted, *address) != wanted.end()) {
            ++address;
            continue;
        }
        if (auto removed = network_->remove_local_address(*address); !removed)
            spdlog::warn("{}", to_string(removed.error()));
        address = ours_.erase(address);
    }
}

}  // namespace sluice::control
