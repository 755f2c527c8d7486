// SPDX-License-Identifier: Apache-2.0
// A hashed timer wheel with intrusive nodes. Arming later than before costs nothing: the node stays in its slot and
// moves on when that slot's time comes. Deadlines are met within one tick, late, never early.
#pragma once

#include <array>
#include <cstdint>

#include "agent/proxy/io.h"

namespace sluice::proxy {

class TimerWheel {
public:
    static constexpr std::uint64_t kTickMs = 8;
    static constexpr std::size_t kSlots = 512;

    explicit TimerWheel(std::uint64_t now_ms) : tick_(now_ms / kTickMs) {}

    void arm(Timer& timer, std::uint64_t deadline_ms);
    static void unlink(Timer& timer);
    // Calls `expire` of everything due. Callbacks may arm, disarm and destroy any timer.
    void advance(std::uint64_t now_ms);
    // Milliseconds until a slot must be looked at; -1 when no timer hangs.
    [[nodiscard]] int wait_ms(std::uint64_t now_ms) const;

private:
    void hang(Timer& timer);
    void run_slot(std::size_t slot, std::uint64_t now_ms);

    std::uint64_t tick_;  // the last one that was run
    std::array<Timer*, kSlots> slots_{};
    std::array<std::uint64_t, kSlots / 64> hung_{};  // a bit a slot: clear where no node hangs
};

}  // namespace sluice::proxy
