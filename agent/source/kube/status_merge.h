// SPDX-License-Identifier: Apache-2.0
// A status as it is and as it should be, made one. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "agent/model/status.h"

namespace sluice::source {

// What `current` becomes with our part replaced; nothing when that is what it says already. Of others stay: entries of
// parents and ancestors that name another controller, in their place, and conditions of types that we never set.
// lastTransitionTime moves only with a condition's status (API conventions). `now`: RFC 3339, UTC.
[[nodiscard]] std::optional<nlohmann::json> merged_status(const nlohmann::json& current,
                                                          const model::ObjectStatus& wanted,
                                                          const std::string& controller_name, const std::string& now);

}  // namespace sluice::source
