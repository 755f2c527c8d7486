// SPDX-License-Identifier: Apache-2.0
// Which nodes serve, by a Lease that its agent renews every second. Who does not for three seconds of our own clock is
// gone; who ends cleanly, at once. While the API server does not answer, or with what is old, nobody is taken for gone.
// What a node says of what it serves is in another Lease, written when it changes, since etcd keeps a copy of all that
// is renewed; only who asks for it reads it. This node looks from the start, and is one of them from join() on. A
// thread of its own.
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
#include "agent/source/kube/node_leases.h"

namespace sluice::source {

enum class Attention {
    None,     // nobody's word is read
    Steady,   // once a second
    Hurried,  // ten times a second: one is waited for
};

class Membership {
public:
    struct View {
        std::vector<std::string> nodes;  // sorted; ours among them
        model::ServedByNode served;      // of the other nodes, as far as they are listened to
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
    // To what the others say.
    void listen(Attention attention);

private:
    using Clock = std::chrono::steady_clock;
    struct Seen {
        std::string renewal;
        Clock::time_point since;
        bool is_gone = false;
        std::string version;  // of the Lease
    };
    void run(const std::stop_token& stop);
    // Until the next round is due; hears the others meanwhile if that is hurried.
    void wait(ApiClient& client, bool is_seen, const std::stop_token& stop);
    [[nodiscard]] Attention attention();
    // False: the API server did not take it. True also while we are no member.
    [[nodiscard]] bool renew(ApiClient& client, const std::stop_token& stop);
    void say_news(ApiClient& client, const std::stop_token& stop);
    [[nodiscard]] bool look(ApiClient& client, const std::stop_token& stop);
    // What became of a Lease that had been seen as `before` (null: never); `is_old`: the list may be older than that.
    [[nodiscard]] static Seen seen_again(const Seen* before, Seen now, const std::string& newest, bool is_old);
    void hear(ApiClient& client, const std::stop_token& stop);
    void show(View view);
    void clear_away(ApiClient& client, const std::stop_token& stop);

    std::shared_ptr<const KubeConfig> config_;
    std::string node_;
    std::function<void(View)> on_change_;
    NodeLeases leases_;
    std::mutex mutex_;  // of the next four
    std::condition_variable_any changed_;
    bool is_joined_ = false;
    Attention attention_ = Attention::None;
    bool has_news_ = false;
    model::ServedGateways served_;
    // Of the thread:
    bool is_unsaid_ = false;            // what is served could not be said
    bool is_speechless_ = false;        // it has been too much to say
    bool was_away_ = false;             // the API server did not answer the last time
    std::map<std::string, Seen> seen_;  // by node, ours among them
    View view_;
    std::jthread thread_;
};

}  // namespace sluice::source
