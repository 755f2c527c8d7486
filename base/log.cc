// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <array>

namespace sluice {

Result<void> set_up_log(const std::string& level)
{
    constexpr std::array kLevels{"debug", "info", "warn", "error", "off"};
    for (const char* known : kLevels) {
        if (level != known)
            continue;
        auto logger = spdlog::stderr_color_mt("sluice");
        logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
        logger->set_level(spdlog::level::from_str(level == "error" ? "err" : level));
        spdlog::set_default_logger(std::move(logger));
        return {};
    }
    return fail(0, "log level", level + ": use debug, info, warn, error or off");
}

}  // namespace sluice
