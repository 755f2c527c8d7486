// SPDX-License-Identifier: Apache-2.0
// The regular expressions of HTTPRoutes: RE2 over bytes (Latin-1), bounded in memory. One set of options for the
// planner, which refuses what does not compile, and for the router, which runs them. A value matches as a whole
// (RE2::FullMatch), as in Envoy: "/v[0-9]" does not match "/v1/x".
#pragma once

#include <re2/re2.h>

namespace sluice::plan {

// Allows a compiled program of about 5,000 instructions. One whose DFA does not fit is run as an NFA, in linear time.
constexpr std::int64_t kRegexMemoryBytes = 64 * 1024;

[[nodiscard]] inline RE2::Options regex_options()
{
    RE2::Options options(RE2::Latin1);
    options.set_max_mem(kRegexMemoryBytes);
    options.set_log_errors(false);
    return options;
}

}  // namespace sluice::plan
