// SPDX-License-Identifier: Apache-2.0
// Gives the pools' addresses to the Gateways of one plan, in three rounds: what each has already, what is wanted by its
// value, and what is wanted whatever it is. Lives for one make_plan call, on the caller's thread.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "agent/plan/state.h"

namespace sluice::plan {

class PoolAssigner {
public:
    // Both must outlive it.
    PoolAssigner(const model::Objects& objects, const NodeFacts& facts);

    // Addresses that are not to be given: the Gateway has them without a pool.
    void reserve(const GatewayState& gateway, const std::vector<IpAddress>& addresses);
    // A Gateway with pools, from the oldest to the youngest.
    void add(GatewayState& gateway);
    // Fills in the addresses of all that were added, and what is to be said of them.
    void run();

private:
    // One address that a Gateway is to have.
    struct Wish {
        std::optional<std::size_t> index;  // in spec.addresses; none: nothing is written there
        std::optional<IpAddress> value;    // none: any address
        bool v4 = true;                    // of any address: the family; where something is written, the preferred one
        std::optional<IpAddress> given;
    };
    struct Applicant {
        GatewayState* gateway;
        std::vector<Wish> wishes;
    };

    [[nodiscard]] static std::vector<Wish> wishes_of(GatewayState& gateway);
    static void share_families(const model::NodeGatewayConfig& config, std::vector<Wish>& wishes);
    [[nodiscard]] std::vector<IpAddress> held_by(const GatewayState& gateway) const;
    bool take(Wish& wish, const GatewayState& gateway, const IpAddress& address);
    void keep_held(Applicant& applicant);
    void give_wanted(Applicant& applicant);
    void give_any(Applicant& applicant);
    [[nodiscard]] std::optional<IpAddress> next_free(const model::NodeGatewayConfig& config, bool v4);
    [[nodiscard]] std::optional<IpAddress> next_free(const model::AddressRange& range);
    void settle(Applicant& applicant);
    void report_missing(const Applicant& applicant) const;
    [[nodiscard]] bool has_owners(const model::NodeGatewayConfig& config);

    const model::Objects& objects_;
    const NodeFacts& facts_;
    std::vector<IpAddress> node_addresses_;  // sorted; the same on every node of a cluster
    std::vector<Applicant> applicants_;
    std::map<IpAddress, const GatewayState*> taken_;
    std::map<const model::NodeGatewayConfig*, bool> has_owners_;
    std::map<const model::AddressRange*, std::optional<IpAddress>> cursors_;  // none: the range is used up
};

}  // namespace sluice::plan
