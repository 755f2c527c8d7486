// SPDX-License-Identifier: Apache-2.0
// Log set-up. Levels by who must act: error, the operator; warn, we run degraded and a counter says so;
// info, state changed; debug, for the people who work on sluice.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "base/result.h"

namespace sluice {

// Logs go to standard error. Level names: debug, info, warn, error, off.
[[nodiscard]] Result<void> set_up_log(const std::string& level);

}  // namespace sluice
