// SPDX-License-Identifier: Apache-2.0
// Counters of one listener on one worker: written by that worker alone, read by the control thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "agent/proxy/proxy.h"

namespace sluice::proxy {

struct alignas(64) ListenerCounters {
    using Count = std::atomic<std::uint64_t>;
    Count connections = 0, requests = 0, bytes_in = 0, bytes_out = 0, refused = 0;
    Count responses[6] = {};
};

inline void count(ListenerCounters::Count& counter, std::uint64_t amount = 1)
{
    counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);  // one writer
}

// The counters of a worker by listener name. Entries are never removed: connections point at them, and counts
// survive a listener's absence.
class CounterTable {
public:
    ListenerCounters& of(const std::string& listener)
    {
        const std::lock_guard lock(mutex_);
        auto& entry = entries_[listener];
        if (!entry)
            entry = std::make_unique<ListenerCounters>();
        return *entry;
    }
    void add_to(std::map<std::string, ListenerStats>& sums) const
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, counters] : entries_) {
            ListenerStats& sum = sums[name];
            sum.listener = name;
            sum.connections += counters->connections;
            sum.requests += counters->requests;
            sum.bytes_in += counters->bytes_in;
            sum.bytes_out += counters->bytes_out;
            sum.refused += counters->refused;
            for (std::size_t i = 0; i < std::size(sum.responses); ++i)
                sum.responses[i] += counters->responses[i];
        }
    }

private:
    mutable std::mutex mutex_;
    std::map<std::string, std::unique_ptr<ListenerCounters>> entries_;
};

}  // namespace sluice::proxy
