// SPDX-License-Identifier: Apache-2.0
// Writes statuses to the API server: what is there is read, our own part replaced, and written with the version that
// was read, so that nobody's words are lost. What is as it should be is not written. Conditions that turn become
// Events. Threads of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/model/status.h"
#include "agent/source/kube/api_client.h"
#include "agent/source/kube/record.h"

namespace sluice::source {

class StatusWriter {
public:
    StatusWriter(std::shared_ptr<const KubeConfig> config, Records& records, std::string controller_name);
    ~StatusWriter();  // what is not written yet stays so
    StatusWriter(const StatusWriter&) = delete;
    StatusWriter& operator=(const StatusWriter&) = delete;

    // The statuses that all objects should have, sorted by key; the newest call counts. Any thread.
    void want(model::Statuses statuses);
    // Somebody else changed the status of this one.
    void look_at(const model::ObjectKey& key);
    // It changed so that what was wanted of it may be another object's: it is looked through with the next `want`.
    void forget(const model::ObjectKey& key);
    // Only who leads writes; what was wanted meanwhile is looked through when this begins.
    void set_leading(bool leading);

private:
    using Clock = std::chrono::steady_clock;
    // Nothing: it is done. Else it is to be tried again, after so long at the earliest.
    using Again = std::optional<std::chrono::seconds>;
    struct Failed {
        unsigned times = 0;       // in a row
        Clock::time_point again;  // when it may be written, unless somebody wants it anew
    };

    void run(const std::stop_token& stop);
    void make_due(const model::ObjectKey& key);  // with the lock
    void make_ripe_due();                        // with the lock
    // What is to be written next, by the caller alone until `finish`. Null: the thread is to end.
    [[nodiscard]] Shared<model::ObjectStatus> take(const std::stop_token& stop);
    void finish(const model::ObjectKey& key, Again again);
    [[nodiscard]] bool is_to_be_written(const Shared<model::ObjectStatus>& status);
    [[nodiscard]] Again put(ApiClient& client, const Shared<model::ObjectStatus>& status, Record record,
                            const std::stop_token& stop);
    [[nodiscard]] bool may_tell();
    void tell(ApiClient& client, const std::vector<nlohmann::json>& events, const std::stop_token& stop);

    std::shared_ptr<const KubeConfig> config_;
    Records* records_;
    std::string controller_name_;
    std::mutex mutex_;
    std::condition_variable_any due_changed_;
    model::Statuses wanted_;                     // sorted by key
    std::deque<model::ObjectKey> due_;           // each once, and none that is busy
    std::set<model::ObjectKey> is_due_;          // also those that are busy
    std::set<model::ObjectKey> busy_;            // one thread each: an older status must not be written last
    std::map<model::ObjectKey, Failed> failed_;  // whose last write has failed
    std::set<std::pair<Clock::time_point, model::ObjectKey>> later_;  // of these, who is neither due nor busy
    bool leading_ = false;
    long events_left_;
    Clock::time_point events_earned_;
    Clock::time_point events_again_;  // none before
    std::vector<std::jthread> threads_;
};

}  // namespace sluice::source
