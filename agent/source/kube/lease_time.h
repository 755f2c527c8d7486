// SPDX-License-Identifier: Apache-2.0
// What the holders of Leases share: the API's time stamps, and waiting that a stop ends.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <stop_token>
#include <string>

namespace sluice::source {

// Now, as metav1.MicroTime.
[[nodiscard]] inline std::string micro_time()
{
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    std::tm parts{};
    gmtime_r(&now.tv_sec, &parts);
    char text[64];
    const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(text + size, sizeof text - size, ".%06ldZ", now.tv_nsec / 1000);
    return text;
}

// Whether one such stamp is more than `by` before another; not when either is none.
[[nodiscard]] inline bool is_before(const std::string& one, const std::string& other, std::chrono::seconds by)
{
    const auto seconds = [](const std::string& text) {
        std::tm parts{};
        return strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr ? std::time_t{-1} : timegm(&parts);
    };
    const std::time_t first = seconds(one);
    const std::time_t second = seconds(other);
    return first != -1 && second != -1 && second - first > by.count();
}

inline void pause(std::chrono::milliseconds time, const std::stop_token& stop)
{
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace sluice::source
