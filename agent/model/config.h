// SPDX-License-Identifier: Apache-2.0
// NodeGatewayConfig (sluice.dev/v1alpha1): the addresses that the Gateways of a class are given, and who announces
// them; and what of a Node is needed for it.
#pragma once

#include <string>
#include <vector>

#include "agent/model/meta.h"
#include "base/ip_address.h"

namespace sluice::model {

constexpr const char* kConfigGroup = "sluice.dev";

// Both ends belong to it and are of one family. Every address of it is one that a host can have.
struct AddressRange {
    IpAddress first;
    IpAddress last;
    [[nodiscard]] bool is_v4() const { return first.is_v4(); }
    [[nodiscard]] bool contains(const IpAddress& address) const
    {
        return address.is_v4() == is_v4() && first <= address && address <= last;
    }
    bool operator==(const AddressRange&) const = default;
};

struct AddressPool {
    std::string name;
    std::vector<AddressRange> ranges;  // spec.pools[].cidrs, in their order
};

// L2: each address has one owner among the nodes, which answers for it and announces itself when it takes over.
// None: the network spreads packets over the nodes, and each of them has every address.
enum class Announcement { L2, None };

struct NodeGatewayConfig {
    static constexpr const char* kKind = "NodeGatewayConfig";
    ObjectMeta meta;
    std::vector<AddressPool> pools;  // none: Gateways serve on the nodes' own addresses
    Announcement announcement = Announcement::L2;
    std::vector<std::string> interfaces;  // links to announce on; none: the uplinks
    Labels node_selector;                 // nodes that may own an address; none: all
};

struct Node {
    static constexpr const char* kKind = "Node";
    ObjectMeta meta;                   // without annotations
    std::vector<IpAddress> addresses;  // status.addresses of type InternalIP and ExternalIP, in their order
};

}  // namespace sluice::model
