// SPDX-License-Identifier: Apache-2.0
// What `sluice run` was asked to do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/admin/server.h"
#include "agent/proxy/proxy.h"

namespace sluice::control {

// Who forwards TCP and UDP. Auto: the kernel where this process has the rights, XDP where the driver is native.
enum class L4Mode { Auto, Xdp, Tcx, Proxy };

struct Options {
    // Where the objects come from: one of these three.
    std::vector<std::string> manifests;
    std::string kubeconfig;
    bool in_cluster = false;
    std::string node;                  // this node's name in the cluster
    std::string ns = "sluice-system";  // of our Leases
    std::vector<std::string> uplinks;  // empty: the links with a default route
    L4Mode l4 = L4Mode::Auto;
    proxy::Options proxy;
    std::string admin = admin::kDefaultAddress;
    std::string bpffs = "/sys/fs/bpf";
    std::string controller_name = "sluice.dev/node-gateway";
    bool keep_pinned = false;         // leave programs, maps and addresses in place at the end
    std::uint32_t drain_ms = 10'000;  // how long connections may go on after SIGTERM
};

}  // namespace sluice::control
