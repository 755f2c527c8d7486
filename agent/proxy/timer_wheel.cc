// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace sluice::proxy {

Timer::~Timer() { TimerWheel::unlink(*this); }

void TimerWheel::unlink(Timer& timer)
{
    timer.deadline_ms_ = 0;
    if (timer.link_ == nullptr)
        return;
    *timer.link_ = timer.next_;
    if (timer.next_ != nullptr)
        timer.next_->link_ = timer.link_;
    timer.link_ = nullptr;
    timer.next_ = nullptr;
}

void TimerWheel::hang(Timer& timer)
{
    // Rounded up, so that a slot never comes before the deadline; at most one round ahead.
    std::uint64_t tick = (timer.deadline_ms_ + kTickMs - 1) / kTickMs;
    tick = std::clamp(tick, tick_ + 1, tick_ + kSlots - 1);
    timer.slot_ms_ = tick * kTickMs;
    Timer*& head = slots_[tick % kSlots];
    hung_[tick % kSlots / 64] |= std::uint64_t{1} << tick % 64;
    timer.next_ = head;
    timer.link_ = &head;
    if (head != nullptr)
        head->link_ = &timer.next_;
    head = &timer;
}

void TimerWheel::arm(Timer& timer, std::uint64_t deadline_ms)
{
    if (timer.put_off(deadline_ms))
        return;
    unlink(timer);
    timer.deadline_ms_ = deadline_ms;
    hang(timer);
}

void TimerWheel::run_slot(std::size_t slot, std::uint64_t now_ms)
{
    // The list is taken out first: a callback may hang timers into this very slot, for the next round.
    Timer* due = slots_[slot];
    slots_[slot] = nullptr;
    hung_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
    if (due != nullptr)
        due->link_ = &due;
    while (due != nullptr) {
        Timer& timer = *due;
        const std::uint64_t deadline_ms = timer.deadline_ms_;
        unlink(timer);
        if (deadline_ms == 0)
            continue;
        if (deadline_ms > now_ms) {
            timer.deadline_ms_ = deadline_ms;
            hang(timer);
            continue;
        }
        timer.expire();
    }
}

void TimerWheel::advance(std::uint64_t now_ms)
{
    const std::uint64_t target = now_ms / kTickMs;
    if (target - tick_ > kSlots)
        tick_ = target - kSlots;  // the thread was stopped for long: every slot once is enough
    while (tick_ < target) {
        ++tick_;
        run_slot(tick_ % kSlots, now_ms);
    }
}

int TimerWheel::wait_ms(std::uint64_t now_ms) const
{
    const std::size_t first = (tick_ + 1) % kSlots;
    for (std::size_t i = 0; i <= hung_.size(); ++i) {  // the word of `first` twice: from it on, and what is before it
        std::uint64_t word = hung_[(first / 64 + i) % hung_.size()];
        if (i == 0)
            word &= ~std::uint64_t{0} << first % 64;
        if (word == 0)
            continue;
        const std::size_t slot =
            (first / 64 + i) % hung_.size() * 64 + static_cast<std::size_t>(std::countr_zero(word));
        const std::uint64_t at_ms = (tick_ + 1 + (slot + kSlots - first) % kSlots) * kTickMs;
        return at_ms <= now_ms ? 0 : static_cast<int>(at_ms - now_ms);
    }
    return -1;
}

}  // namespace sluice::proxy
