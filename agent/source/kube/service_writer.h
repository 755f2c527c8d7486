// SPDX-License-Identifier: Apache-2.0
// Writes the Services that stand for Gateways (model/infrastructure.h). They are owned by their Gateways: the API
// server removes them with these. A thread of its own.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "agent/model/infrastructure.h"
#include "agent/source/kube/api_client.h"
#include "agent/source/kube/kube_source.h"

namespace sluice::source {

class ServiceWriter {
public:
    ServiceWriter(std::shared_ptr<const KubeConfig> config, KubeSource& source);
    ~ServiceWriter();  // what is not written yet stays so
    ServiceWriter(const ServiceWriter&) = delete;
    ServiceWriter& operator=(const ServiceWriter&) = delete;

    // Has those written that are missing or outdated; the newest call counts. Any thread. What fails is for the next
    // call, which comes with the next change.
    void want(const std::vector<model::InfrastructureService>& services);

private:
    void run(const std::stop_token& stop);
    void write(ApiClient& client, const model::InfrastructureService& service, const std::stop_token& stop);

    std::shared_ptr<const KubeConfig> config_;
    KubeSource* source_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::vector<model::InfrastructureService> due_;
    std::jthread thread_;
};

}  // namespace sluice::source
