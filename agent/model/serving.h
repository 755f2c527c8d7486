// SPDX-License-Identifier: Apache-2.0
// What a node says of a Gateway that it serves: the acknowledgement that `Programmed` waits for.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace sluice::model {

struct ServedGateway {
    std::string gateway;  // "namespace/name"
    std::string uid;      // of the object: one of the same name begins anew
    std::int64_t generation = 0;
    std::set<std::string> addresses;                      // of pools, that this node has
    std::map<std::string, std::string> failed_listeners;  // by name: why it does not serve
    std::map<std::string, std::string> failed_addresses;  // by address: why it could not be made local
    bool operator==(const ServedGateway&) const = default;
};

using ServedGateways = std::vector<ServedGateway>;           // sorted by gateway
using ServedByNode = std::map<std::string, ServedGateways>;  // by the node's name

}  // namespace sluice::model
