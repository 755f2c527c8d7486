// SPDX-License-Identifier: Apache-2.0
// Counters of one worker, of its listeners and of its limits: written by that worker alone, read by the control thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

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

// What a client or a backend was stopped at.
enum class Limit : std::uint8_t {
    Connections,       // accepting waited: connections_max
    Descriptors,       // accepting waited: the process had none left
    HandshakeTimeout,  // TLS, from the first byte on
    HeaderTimeout,
    HeaderSize,  // bytes, fields or the request line
    IdleTimeout,
    StreamIdleTimeout,  // a request or relay under way
    WriteTimeout,       // an HTTP/2 peer that reads nothing
    Http2Streams,       // beyond those allowed at once
    Http2Flood,         // resets, CONTINUATION, SETTINGS, PING, oddities
    ConnectTimeout,     // to a backend, TLS included
    UpstreamConnections,
    UdpFlows,
};
inline constexpr std::array<std::string_view, 13> kLimitNames{
    "connections",     "descriptors",          "handshake_timeout", "header_timeout", "header_size",
    "idle_timeout",    "stream_idle_timeout",  "write_timeout",     "http2_streams",  "http2_flood",
    "connect_timeout", "upstream_connections", "udp_flows"};

class LimitCounters {
public:
    void hit(Limit limit) { count(counts_[static_cast<std::size_t>(limit)]); }
    void add_to(std::map<std::string, std::uint64_t>& sums) const
    {
        for (std::size_t i = 0; i < counts_.size(); ++i)
            sums[std::string(kLimitNames[i])] += counts_[i];
    }

private:
    std::array<ListenerCounters::Count, kLimitNames.size()> counts_{};
};

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
