// SPDX-License-Identifier: Apache-2.0
// Who of the agents leads, by a Lease (coordination.k8s.io/v1): held while it is renewed, taken over when nobody has
// renewed it for its duration by our own clock (as client-go does it: clocks of other nodes are not believed). A thread
// of its own.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "agent/source/kube/api_client.h"

namespace sluice::source {

struct LeaseOptions {
    std::string ns;
    std::string name;
    std::string holder;  // who we are
    std::chrono::seconds duration{15};
    std::chrono::seconds renew{5};
};

class Leadership {
public:
    // `on_change` is called from the thread, with whether we lead from now on.
    Leadership(std::shared_ptr<const KubeConfig> config, LeaseOptions options, std::function<void(bool)> on_change);
    ~Leadership();  // gives it up, so that another can have it at once; waits at most two seconds for that
    Leadership(const Leadership&) = delete;
    Leadership& operator=(const Leadership&) = delete;

private:
    using Clock = std::chrono::steady_clock;
    void run(const std::stop_token& stop);
    // Reads the Lease and takes or renews it where it may. False: the server did not answer, or somebody was faster.
    [[nodiscard]] bool hold(ApiClient& client, const std::stop_token& stop);
    [[nodiscard]] bool create(ApiClient& client, const std::stop_token& stop);
    void set_leading(bool leading);

    std::shared_ptr<const KubeConfig> config_;
    LeaseOptions options_;
    std::function<void(bool)> on_change_;
    std::string path_;
    bool leading_ = false;
    Clock::time_point renewed_;  // when we did
    std::string seen_;           // the other's last renewal, as text
    Clock::time_point seen_since_;
    std::jthread thread_;
};

}  // namespace sluice::source
