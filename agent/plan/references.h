// SPDX-License-Identifier: Apache-2.0
// Follows backendRefs through Services and EndpointSlices to socket addresses, where ReferenceGrants allow it.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/plan/field_path.h"
#include "agent/plan/grants.h"
#include "agent/plan/policies.h"
#include "agent/plan/state.h"

namespace sluice::plan {

class References {
public:
    // All must outlive it.
    References(const model::Objects& objects, const NodeFacts& facts, const Grants& grants, const Policies& policies);

    // `protocol` is that of the Service port: TCP or UDP. `field` is where the reference stands, for messages. An
    // invalid reference adds its message to the route's `resolved`; the first one gives the reason.
    [[nodiscard]] Backend resolve(RouteState& route, const model::BackendRef& ref, std::string_view protocol,
                                  const FieldPath& field);

    // The same backend as the policy for it wants to be spoken to; not valid where that policy is not.
    [[nodiscard]] Backend with_policy(RouteState& route, const model::BackendRef& ref, Backend backend) const;

private:
    struct ServicePort {
        const model::Service* service = nullptr;
        const model::ServicePort* port = nullptr;  // null: the Service has none of this number and protocol
    };
    [[nodiscard]] ServicePort find(const RouteState& route, const model::BackendRef& ref,
                                   std::string_view protocol) const;
    [[nodiscard]] Verdict check(const RouteState& route, const model::BackendRef& ref, std::string_view protocol,
                                const ServicePort& found) const;
    struct Endpoints {
        std::vector<SocketAddress> addresses;
        std::optional<IpAddress> refused;  // one that may not be reached by way of an EndpointSlice
    };
    [[nodiscard]] const Endpoints& endpoints(const model::Service& service, const model::ServicePort& port);
    template <class Use>
    void collect(const model::EndpointSlice& slice, const model::ServicePort& port, Use use, Endpoints& out) const;
    [[nodiscard]] bool is_refused(const IpAddress& address) const;

    const Grants& grants_;
    const Policies& policies_;
    const bool from_cluster_;
    std::vector<IpAddress> node_addresses_;         // sorted; only from a cluster
    std::vector<model::AddressRange> pool_ranges_;  // of the Gateways; only from a cluster
    std::unordered_map<NameView, const model::Service*, NameViewHash> services_;
    std::unordered_map<NameView, std::vector<const model::EndpointSlice*>, NameViewHash> slices_;  // by Service
    std::unordered_map<const model::ServicePort*, Endpoints> endpoints_;                           // one lookup a port
};

}  // namespace sluice::plan
