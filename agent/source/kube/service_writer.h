// SPDX-License-Identifier: Apache-2.0
// Writes the Services that stand for Gateways (model/infrastructure.h). They are owned by their Gateways: the API
// server removes them with these. A thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "agent/model/infrastructure.h"
#include "agent/source/kube/api_client.h"
#include "agent/source/kube/record.h"

namespace sluice::source {

class ServiceWriter {
public:
    ServiceWriter(std::shared_ptr<const KubeConfig> config, const Records& records);
    ~ServiceWriter();  // what is not written yet stays so
    ServiceWriter(const ServiceWriter&) = delete;
    ServiceWriter& operator=(const ServiceWriter&) = delete;

    // Has those written that are missing or outdated; the newest call counts. Any thread. What fails is tried again
    // at growing intervals, and at once when something else is wanted of it.
    void want(const std::vector<model::InfrastructureService>& services);

private:
    using Clock = std::chrono::steady_clock;
    // Nothing: it is done. Else it is to be tried again, after so long at the earliest.
    using Again = std::optional<std::chrono::seconds>;
    struct Due {
        model::InfrastructureService service;
        unsigned failures = 0;   // in a row
        Clock::time_point when;  // it may be written
    };

    void run(const std::stop_token& stop);
    [[nodiscard]] const Due* next() const;  // with the lock; null: nothing is due
    void finish(const model::InfrastructureService& service, const Again& again);  // with the lock
    [[nodiscard]] Again write(ApiClient& client, const model::InfrastructureService& service,
                              const std::stop_token& stop);

    std::shared_ptr<const KubeConfig> config_;
    const Records* records_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::vector<Due> due_;
    std::jthread thread_;
};

}  // namespace sluice::source
