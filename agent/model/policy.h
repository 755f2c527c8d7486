// SPDX-License-Identifier: Apache-2.0
// BackendTLSPolicy (gateway.networking.k8s.io/v1, v1alpha3) as a plain value.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/model/meta.h"

namespace sluice::model {

// An object of the policy's own namespace, or a part of it.
struct PolicyTarget {
    std::string group;
    std::string kind;
    std::string name;
    std::optional<std::string> section_name;  // of a Service: the name of a port
};

struct BackendTlsPolicy {
    static constexpr const char* kKind = "BackendTLSPolicy";
    ObjectMeta meta;
    std::vector<PolicyTarget> targets;
    std::vector<ObjectReference> ca_refs;  // of the policy's own namespace; empty: well_known_ca says which
    std::string well_known_ca;             // "System" or a domain-prefixed name; empty with ca_refs
    std::string hostname;
    std::vector<std::string> dns_sans;  // may begin with "*."
    std::vector<std::string> uri_sans;
};

}  // namespace sluice::model
