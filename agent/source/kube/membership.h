// SPDX-License-Identifier: Apache-2.0
// Which nodes serve, each by a Lease that its agent renews every second. Who does not for three seconds of our own
// clock is gone; who ends cleanly, at once. While the API server does not answer nobody is taken for gone. A thread of
// its own.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/source/kube/api_client.h"

namespace sluice::source {

class Membership {
public:
    // `on_change` is called from the thread with the sorted names of the nodes, ours among them.
    Membership(std::shared_ptr<const KubeConfig> config, std::string ns, std::string node,
               std::function<void(std::vector<std::string>)> on_change);
    ~Membership();  // leaves; waits at most two seconds for that
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;

private:
    using Clock = std::chrono::steady_clock;
    struct Seen {
        std::string renewal;
        Clock::time_point since;
    };
    void run(const std::stop_token& stop);
    [[nodiscard]] bool renew(ApiClient& client, const std::stop_token& stop);
    [[nodiscard]] bool look(ApiClient& client, const std::stop_token& stop);

    std::shared_ptr<const KubeConfig> config_;
    std::string node_;
    std::function<void(std::vector<std::string>)> on_change_;
    std::string path_;  // of the Leases
    std::string name_;  // of ours
    std::string ns_;
    std::string resource_version_;  // of ours, as last written; empty: not known
    std::map<std::string, Seen> seen_;
    bool was_away_ = false;  // the API server did not answer the last time
    std::vector<std::string> members_;
    std::jthread thread_;
};

}  // namespace sluice::source
