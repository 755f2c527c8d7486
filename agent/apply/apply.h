// SPDX-License-Identifier: Apache-2.0
// Brings the kernel tables into line with a plan, by difference and in an order in which no packet meets a hole:
// backends, then rings, then listeners, then deletions; at last the generation. Then reads back what it wrote.
// Ids survive restarts: they are adopted from the pinned maps. Used by the control thread alone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/plan/plan.h"
#include "base/result.h"
#include "loader/network.h"
#include "maps/table.h"

namespace sluice::apply {

struct L4ListenerState {
    std::string listener;
    std::vector<std::uint32_t> ids;  // one an address family
    bool in_kernel = false;          // read back: addresses of at least one family are in the tables, with their ring
    std::string relayed;             // why the kernel leaves (some of) it to the proxy, or refuses it; may be empty
    std::string problem;             // why it does not serve what the plan asks; empty when it does
};

struct Outcome {
    std::vector<L4ListenerState> l4;
    std::map<std::string, std::string> problems;  // of the plan's HTTP and TLS listeners: why not all of it is served
    std::map<std::string, std::string> taken;     // of any kind: those whose port another program of the node has
    std::uint32_t generation = 0;
};

struct Facts {
    std::vector<IpAddress> node_addresses;  // stand in for listeners without addresses
    std::vector<IpAddress> host_addresses;  // those, and what else is this node's own, on lo
    std::vector<IpAddress> other_nodes;     // of other nodes, which serve them
    std::vector<unsigned> uplinks;          // clients come by them; no backend behind one is local
};

class Applier {
public:
    // Attaches the programs to these links, by which backends answer. Called before a flow can reach one by it.
    using AttachLinks = std::function<Result<void>(const std::vector<unsigned>&)>;

    // Adopts what the tables hold. `tables` and `network` must outlive it.
    [[nodiscard]] static Result<Applier> make(const maps::Tables& tables, loader::Network& network, AttachLinks attach);
    ~Applier();
    Applier(Applier&&) noexcept;
    Applier& operator=(Applier&&) noexcept;

    // A failure of one listener is its `problem`, the others go on; an error of the whole leaves what served before.
    [[nodiscard]] Result<Outcome> apply(const plan::Plan& plan, const Facts& facts);

    // Deletes draining backends that no flow refers to any more, and some of the reply tuples that flows have left
    // behind. Returns how many backends are still draining. To be called every some seconds.
    [[nodiscard]] Result<std::size_t> collect_garbage();

private:
    struct State;
    explicit Applier(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::apply
