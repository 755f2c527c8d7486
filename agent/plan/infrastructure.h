// SPDX-License-Identifier: Apache-2.0
// The Service that stands for each Gateway in its namespace. It takes no traffic: it has no selector and no address of
// its own, but bears the Gateway's name as a label and what spec.infrastructure asks for.
#pragma once

#include <string>
#include <vector>

#include "agent/plan/state.h"

namespace sluice::plan {

constexpr const char* kGatewayNameLabel = "gateway.networking.k8s.io/gateway-name";
constexpr const char* kManagedByLabel = "app.kubernetes.io/managed-by";
constexpr const char* kManagedBy = "sluice";

// Its value tells a Service that is as it should be, also after a label was taken out of the Gateway.
constexpr const char* kAppliedAnnotation = "sluice.dev/applied";

// Of every Gateway with parameters that hold, sorted by namespace and name.
[[nodiscard]] std::vector<model::InfrastructureService>
infrastructure_services(const std::vector<GatewayState>& gateways, const model::Objects& objects);

// An object's name as a label's value, which has at most 63 characters: shortened, with a hash, where it is longer.
[[nodiscard]] std::string label_value(const std::string& name);

}  // namespace sluice::plan
