// SPDX-License-Identifier: Apache-2.0
// Conditions and statuses out of the planner's verdicts, with the API's types and reasons.
#pragma once

#include <cstdint>
#include <string>

#include "agent/plan/state.h"

namespace sluice::plan {

// True with `good_reason` and `good_message` when the verdict is ok, else False with the verdict's own words.
[[nodiscard]] model::Condition make_condition(const char* type, const Verdict& verdict, const char* good_reason,
                                              std::int64_t generation, std::string good_message = {});

[[nodiscard]] model::ObjectStatus gateway_status(const GatewayState& gateway);
[[nodiscard]] model::ObjectStatus route_status(const RouteState& route);

}  // namespace sluice::plan
