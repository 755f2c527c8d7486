// SPDX-License-Identifier: Apache-2.0
// Monotonic time in the units that timers use. CLOCK_MONOTONIC is also what bpf_ktime_get_ns() reads.
#pragma once

#include <ctime>

#include <cstdint>

namespace sluice {

[[nodiscard]] inline std::uint64_t monotonic_ns()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

[[nodiscard]] inline std::uint64_t monotonic_ms() { return monotonic_ns() / 1'000'000U; }

}  // namespace sluice
