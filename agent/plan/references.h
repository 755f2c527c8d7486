// SPDX-License-Identifier: Apache-2.0
// Follows backendRefs through Services and EndpointSlices to socket addresses, where ReferenceGrants allow it.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/plan/state.h"

namespace sluice::plan {

class References {
public:
    // `objects` must outlive it.
    explicit References(const model::Objects& objects);

    // `protocol` is that of the Service port: TCP or UDP. `field` is where the reference stands, for messages. An
    // invalid reference adds its message to `resolved`; the first one gives the reason.
    [[nodiscard]] Backend resolve(const RouteState& route, const model::BackendRef& ref, std::string_view protocol,
                                  std::string_view field, Verdict& resolved);

private:
    [[nodiscard]] bool is_granted(std::string_view route_kind, std::string_view route_ns, std::string_view ns,
                                  const std::string& name) const;
    [[nodiscard]] Verdict find_port(const RouteState& route, const model::BackendRef& ref, std::string_view protocol,
                                    const model::Service*& service, const model::ServicePort*& port) const;
    [[nodiscard]] const std::vector<SocketAddress>& endpoints(const model::Service& service,
                                                              const model::ServicePort& port);

    std::unordered_map<NameView, const model::Service*, NameViewHash> services_;
    std::unordered_map<NameView, std::vector<const model::EndpointSlice*>, NameViewHash> slices_;  // by Service
    std::unordered_set<std::string> grants_;
    std::unordered_map<const model::ServicePort*, std::vector<SocketAddress>> endpoints_;  // one lookup a port
};

}  // namespace sluice::plan
