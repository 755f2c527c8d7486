// SPDX-License-Identifier: Apache-2.0
// Addresses that a Gateway gave up a moment ago. They are not given to another one yet: clients, neighbour caches and
// flow tables still know them as the old one's. The clock is the caller's. Used by the control thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "agent/plan/plan.h"

namespace sluice::plan {

constexpr std::uint64_t kRestMs = 60'000;

class RestingAddresses {
public:
    // To be told of every plan that is applied, on every node: who becomes leader must know what rests.
    void observe(const Plan& plan, std::uint64_t now_ms);
    // For NodeFacts::resting; sorted.
    [[nodiscard]] std::vector<IpAddress> at(std::uint64_t now_ms);
    // When the next address is free again, and a plan may have use for it.
    [[nodiscard]] std::optional<std::uint64_t> next_end_ms() const;

private:
    std::vector<IpAddress> in_use_;
    std::map<IpAddress, std::uint64_t> until_ms_;
};

}  // namespace sluice::plan
