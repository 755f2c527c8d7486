// SPDX-License-Identifier: Apache-2.0
// The Gateways' addresses that this agent made local on lo. Only those it added (or that an earlier agent of the same
// pins had added) are removed again. Control thread only.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "loader/network.h"

namespace sluice::control {

class LocalAddresses {
public:
    // `inherit`: addresses found on lo already were left there by an earlier agent, and are ours now.
    LocalAddresses(loader::Network& network, bool inherit) : network_(&network), inherit_(inherit) {}

    // Adds what is wanted and missing. Returns the addresses that could not be added, with the cause.
    [[nodiscard]] std::map<IpAddress, std::string> add(const std::vector<IpAddress>& wanted);
    // Removes our own that are no longer wanted. After the listeners on them are gone.
    void remove_unwanted(const std::vector<IpAddress>& wanted);
    void remove_all() { remove_unwanted({}); }

private:
    loader::Network* network_;
    bool inherit_;
    std::set<IpAddress> ours_;
};

}  // namespace sluice::control
