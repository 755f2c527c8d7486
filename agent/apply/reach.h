// SPDX-License-Identifier: Apache-2.0
// How a packet gets from this node to a backend, and by which way the answer comes back. Pure.
#pragma once

#include <vector>

#include "base/ip_address.h"
#include "loader/network.h"

namespace sluice::apply {

struct Reach {
    enum class Kind {
        Local,   // in a pod of this node, by the pod's own link: it sees the client, and answers through this node
        Remote,  // anywhere else: it sees `source`, and answers to that
        Self,    // an address of this node
        Raw,     // by a link without Ethernet headers, such as a WireGuard tunnel: nothing for the kernel programs
    } kind = Kind::Remote;
    unsigned ifindex = 0;  // of the link; 0: none is known now, the route decides when a packet comes
    IpAddress source;      // that the node itself would connect from; "::": there is none
    bool operator==(const Reach&) const = default;
};

// `links` are those of the node. Behind an uplink or a gateway nothing is local.
[[nodiscard]] Reach reach_by(const loader::Route& route, const std::vector<loader::Link>& links,
                             const std::vector<unsigned>& uplinks);

}  // namespace sluice::apply
