// SPDX-License-Identifier: Apache-2.0
// Which nodes serve, and what each says of it, by a Lease that its agent renews every second. Who does not for three
// seconds of our own clock is gone; who ends cleanly, at once. While the API server does not answer nobody is taken for
// gone. This node looks from the start, and is one of them from join() on. A thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/model/serving.h"
#include "agent/source/kube/api_client.h"

namespace sluice::source {

class Membership {
public:
    struct View {
        std::vector<std::string> nodes;  // sorted; ours among them
        model::ServedByNode served;      // of the other nodes
        bool operator==(const View&) const = default;
    };

    // `on_change` is called from the thread.
    Membership(std::shared_ptr<const KubeConfig> config, std::string ns, std::string node,
               std::function<void(View)> on_change);
    ~Membership() { leave(); }
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;

    // Any thread:
    void join();
    // Renews no more, without leaving: another agent of this node does so from now on.
    void hand_over();
    // No member any more, and looks no more. Waits at most two seconds for the API server. Idempotent.
    void leave();
    // Tells the others at once what we serve; the newest call counts.
    void say(model::ServedGateways served);
    // Whether somebody's word is waited for: then it is looked for more often.
    void set_hurry(bool hurry);

private:
    using Clock = std::chrono::steady_clock;
    struct Seen {
        std::string renewal;
        Clock::time_point since;
    };
    void run(const std::stop_token& stop);
    void wait(bool is_seen, const std::stop_token& stop);
    // What is to be said, or nothing while we are no member.
    [[nodiscard]] bool renew(ApiClient& client, const std::stop_token& stop);
    [[nodiscard]] bool look(ApiClient& client, const std::stop_token& stop);

    std::shared_ptr<const KubeConfig> config_;
    std::string node_;
    std::function<void(View)> on_change_;
    std::string path_;  // of the Leases
    std::string name_;  // of ours
    std::string ns_;
    std::mutex mutex_;  // of the next six
    std::condition_variable_any changed_;
    bool is_joined_ = false;
    bool is_hurried_ = false;
    bool has_news_ = false;
    bool is_speechless_ = false;  // what is served has been too much to say
    model::ServedGateways served_;
    std::map<std::string, Seen> seen_;
    bool was_away_ = false;  // the API server did not answer the last time
    View view_;
    std::jthread thread_;
};

// An annotation's text, and back; what is no such text says nothing. Longer than 200,000 bytes it is "", and the
// Gateways of that node are never programmed.
[[nodiscard]] std::string served_text(const model::ServedGateways& served);
[[nodiscard]] model::ServedGateways parse_served(const std::string& text);

}  // namespace sluice::source
