// SPDX-License-Identifier: Apache-2.0
// The Gateways' addresses that this agent made local on lo. Only those it added (or an earlier agent had) are removed
// again. Control thread only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/plan/plan.h"
#include "loader/announce.h"
#include "loader/network.h"

namespace sluice::control {

// An address that has one owner among the nodes leaves this one by itself when the agent falls silent: the kernel drops
// it after this time unless it is extended. Longer than a restart of the agent, shorter than anybody's patience with
// two nodes that answer for one address.
constexpr unsigned kOwnedLifetimeS = 5;
constexpr std::uint64_t kExtendEveryMs = 1'000;

class LocalAddresses {
public:
    explicit LocalAddresses(loader::Network& network) : network_(&network) {}

    // Adds what is wanted and missing. Returns the addresses that could not be added, with the cause. `owned`: those
    // that other nodes take over from this one; sorted, of no effect beyond `wanted`.
    [[nodiscard]] std::map<IpAddress, std::string> add(const std::vector<IpAddress>& wanted,
                                                       const std::vector<IpAddress>& owned = {});
    // To be called every kExtendEveryMs while there are owned addresses, or before a silence that is known. Also brings
    // back one that was dropped because the agent was late.
    void extend_owned(unsigned lifetime_s = kOwnedLifetimeS);
    [[nodiscard]] bool has_owned() const;
    // Removes our own that are no longer wanted. After the listeners on them are gone.
    void remove_unwanted(const std::vector<IpAddress>& wanted);
    void remove_all() { remove_unwanted({}); }
    void remove(const std::vector<IpAddress>& given_away);  // sorted
    // Those that add() found missing, or owned and left by an earlier agent, since the last call; to be announced when
    // their listeners are in the tables.
    [[nodiscard]] std::vector<IpAddress> take_added();

private:
    void set_lifetime(const IpAddress& address, std::optional<unsigned> lifetime_s);  // none: for ever

    loader::Network* network_;
    std::map<IpAddress, bool> ours_;  // whether owned
    std::vector<IpAddress> added_;
};

// The addresses of the plan that this node has alone; sorted. Only in a cluster.
[[nodiscard]] std::vector<IpAddress> owned_addresses(const plan::Plan& plan);

// Announces those of `added` that the plan announces, on the links that it names or else on the uplinks, and ends the
// announcements of what is another node's now. Failures are logged: clients that have asked before learn later.
void announce(loader::Announcer& announcer, const std::vector<IpAddress>& added, const plan::Plan& plan,
              const std::vector<loader::Link>& links, const std::vector<unsigned>& uplinks);

}  // namespace sluice::control
