// SPDX-License-Identifier: Apache-2.0
// Brings the kernel tables into line with a plan, by difference and in an order in which no packet meets a hole:
// backends, then rings, then listeners, then deletions; at last the generation. Then reads back what it wrote.
// Ids survive restarts: they are adopted from the pinned maps. Used by the control thread alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/plan/plan.h"
#include "base/result.h"
#include "loader/network.h"
#include "maps/table.h"

namespace sluice::apply {

struct L4ListenerState {
    std::string listener;
    std::uint32_t id = 0;
    bool in_kernel = false;  // read back: listener entries and ring are in the tables
    std::string problem;     // why not
};

struct Outcome {
    std::vector<L4ListenerState> l4;
    std::vector<unsigned> backend_links;  // links that lead to local backends: tcx belongs on them
    std::uint32_t generation = 0;
};

class Applier {
public:
    // Adopts what the tables hold. `network` and `tables` must outlive it.
    [[nodiscard]] static Result<Applier> make(const maps::Tables& tables, loader::Network& network);

    // `proxied` are (address, port) pairs that sk_lookup sends to the proxy (HTTP, and L4 when --l4 proxy).
    // `node_addresses` stand in for listeners without addresses. `uplinks` decides what is local: a backend whose
    // route leaves by an uplink, or through a gateway, is remote (SNAT).
    struct Facts {
        std::vector<IpAddress> node_addresses;
        std::vector<unsigned> uplinks;
    };
    [[nodiscard]] Result<Outcome> apply(const plan::Plan& plan, const Facts& facts);

    // Deletes draining backends that no flow refers to any more. Returns how many are still draining.
    [[nodiscard]] Result<std::size_t> collect_garbage();

private:
    Applier(const maps::Tables& tables, loader::Network& network) : tables_(&tables), network_(&network) {}
    const maps::Tables* tables_;
    loader::Network* network_;
};

}  // namespace sluice::apply
