// SPDX-License-Identifier: Apache-2.0
// The weighted consistent ring (Maglev, NSDI 2016): pure, and the same for the same members on every node, in any
// order and after every restart, because it is keyed by what a backend is and not by its place in a list.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "maps/abi.h"

namespace sluice::apply {

struct RingMember {
    std::uint64_t identity = 0;  // hash of (address, port, protocol); 0 for the refused share
    std::uint64_t weight = 0;    // relative to the other members
    std::uint32_t backend_id = SL_BACKEND_NONE;
};

using RingSlots = std::array<std::uint32_t, SL_RING_SLOTS>;

// Shares are exact to one slot (largest remainder). A change of weights or members moves few slots of the others.
// Without any weight every slot is SL_BACKEND_NONE.
[[nodiscard]] RingSlots make_ring(std::vector<RingMember> members);

// 64 bits of (address, port, protocol); never 0.
[[nodiscard]] std::uint64_t backend_identity(const std::array<std::uint8_t, 16>& address, std::uint16_t port,
                                             std::uint8_t proto);

}  // namespace sluice::apply
