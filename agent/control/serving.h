// SPDX-License-Identifier: Apache-2.0
// What became of a plan: which listeners really serve, and the statuses corrected by it. Pure functions, so that
// `Programmed` can be tested: it is never true of something that does not serve.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/apply/apply.h"
#include "agent/model/serving.h"
#include "agent/model/status.h"
#include "agent/plan/plan.h"

namespace sluice::control {

struct ServingProblems {
    std::map<std::string, std::string> listeners;  // "namespace/gateway/listener" -> why it does not serve
    std::map<IpAddress, std::string> addresses;    // address -> why it could not be made local
};

// Adds the listeners that the kernel path could not bring to serve what the plan asks.
void add_kernel_problems(const std::vector<apply::L4ListenerState>& states, ServingProblems& problems);
// Adds the HTTP and TLS listeners of a plan that the one before did not serve at the same addresses and port: the
// kernel path, which brings them their connections, failed as a whole. `before` are the problems of that plan.
void add_new_proxied(const plan::Plan& plan, const plan::Plan& previous, const ServingProblems& before,
                     const std::string& why, ServingProblems& problems);

// Sets Programmed=False where there is a problem: reason Pending on a listener, AddressNotUsable or ListenersNotValid
// on its Gateway.
void correct_statuses(model::Statuses& statuses, const ServingProblems& problems);

// What this node says of the Gateways of a plan that it serves.
[[nodiscard]] model::ServedGateways served_gateways(const plan::Plan& plan, const ServingProblems& problems);

// The plan's statuses as the whole cluster is to see them: of a Gateway's problems those on the nodes that have its
// addresses, and Programmed=False (Pending) where such a node does not serve this generation yet. With an empty one of
// each object of others: what we said before is to go.
struct ClusterStatuses {
    model::Statuses statuses;       // by key
    std::set<std::string> pending;  // Gateways, "namespace/name", that wait for a node
};
[[nodiscard]] ClusterStatuses cluster_statuses(const plan::Plan& plan, const std::vector<std::string>& members,
                                               const model::ServedByNode& served);

// One line for every condition that differs between the two, which are sorted by key: "Gateway default/web listener
// http: Programmed True -> False (Pending): …".
[[nodiscard]] std::vector<std::string> condition_changes(const model::Statuses& before, const model::Statuses& after);

}  // namespace sluice::control
