// SPDX-License-Identifier: Apache-2.0
// BackendTLSPolicies: which one governs a Service's port, what it says, and what its status is.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/plan/certificates.h"
#include "agent/plan/state.h"

namespace sluice::plan {

struct PolicyState {
    const model::BackendTlsPolicy* spec = nullptr;
    Verdict accepted;
    Verdict resolved;
    Shared<BackendTls> tls;  // null: not usable, and its backends are refused
};

class Policies {
public:
    using Known = std::map<std::string, Shared<BackendTls>>;  // by policy, "namespace/name"
    // All must outlive it. `known`: what the policies of the last plan said; one that says the same has the same value,
    // so that backends share it from plan to plan. It is replaced by what those of this one say.
    Policies(const model::Objects& objects, const Certificates& certificates, Known& known);
    Policies(const Policies&) = delete;
    Policies& operator=(const Policies&) = delete;

    // The one for the port by its name, else the one for the whole Service; of several the oldest. Null without any.
    [[nodiscard]] const PolicyState* find(const model::Service& service, const model::ServicePort& port) const;
    [[nodiscard]] bool empty() const { return targets_.empty(); }
    [[nodiscard]] bool has_target(const model::Service& service) const;

    // To be told of each Gateway that accepted a route to a targeted Service.
    void add_gateway(const model::Service& service, const model::ParentReference& gateway);

    // Those of policies that have an effect through a Gateway of ours, or would have it if they were valid. The keys of
    // the `others`.
    void append_statuses(model::Statuses& statuses, std::vector<model::ObjectKey>& others) const;

private:
    using Gateways = std::set<std::pair<std::string, std::string>>;  // namespace and name
    // A Service, with the oldest policy for each port that policies name, and for all of its ports.
    struct Target {
        std::unordered_map<std::string_view, const PolicyState*> by_port;
        const PolicyState* whole = nullptr;
        Gateways gateways;  // through whom its policies have an effect; the first 16
    };
    void add_target(PolicyState& policy, const model::PolicyTarget& target, const model::Service* service);
    [[nodiscard]] Gateways gateways_of(const model::BackendTlsPolicy& policy) const;

    std::vector<PolicyState> policies_;                           // oldest first
    std::unordered_map<NameView, Target, NameViewHash> targets_;  // by Service
};

// Gives the backends of one Gateway its client certificate. Backends that share a policy share the result.
class BackendIdentity {
public:
    // It must outlive this.
    explicit BackendIdentity(const GatewayState& gateway) : gateway_(gateway) {}

    [[nodiscard]] std::vector<Backend> apply(const std::vector<Backend>& backends);
    [[nodiscard]] Shared<HttpRule> apply(const Shared<HttpRule>& rule);  // the same one where nothing is to be given

private:
    const GatewayState& gateway_;
    std::unordered_map<const BackendTls*, Shared<BackendTls>> known_;
};

}  // namespace sluice::plan
