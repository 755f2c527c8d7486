// SPDX-License-Identifier: Apache-2.0
// Keeps listeners off the ports of this host that its own programs serve: the kernel tables and sk_lookup come before
// the sockets of sshd or the kubelet, so that a listener without addresses would take their connections. Who was there
// first has the port. Those that only netfilter knows (NodePorts, hostPorts) are not seen. Used by the control thread
// alone.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/apply/desired.h"
#include "loader/host_sockets.h"

namespace sluice::apply {

class HostPorts {
public:
    using Look = std::function<std::vector<loader::HostSocket>()>;
    // `look`: what has ports of the host now.
    explicit HostPorts(Look look = loader::host_sockets) : look_(std::move(look)) {}

    // Ours from an earlier agent of this node.
    void adopt(const ListenerKey& key) { ours_.insert(key); }

    // Removes from `desired` what another program serves on an address of this node. What nobody serves is ours until
    // `desired` has it no more. Returns the plan's listeners that lose an address other than a loopback one, each with
    // the reason.
    [[nodiscard]] std::map<std::string, std::string> yield_taken(Desired& desired,
                                                                 const std::vector<IpAddress>& node_addresses);

private:
    Look look_;
    std::set<ListenerKey> ours_;
};

}  // namespace sluice::apply
