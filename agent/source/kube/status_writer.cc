// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/status_writer.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "agent/source/kube/events.h"
#include "agent/source/kube/status_merge.h"
#include "agent/source/text.h"
#include "base/log.h"

namespace sluice::source {
namespace {

constexpr std::size_t kThreads = 4;  // writes under way at once
constexpr int kConflictsMax = 5;     // of one write, before the others have their turn
constexpr long kEventsAtOnce = 100;
constexpr auto kEventEvery = std::chrono::milliseconds(200);  // beyond that
constexpr auto kEventTime = std::chrono::milliseconds(2'000);
constexpr auto kEventsPause = std::chrono::seconds(30);  // after one that the server had no time for
constexpr auto kCallTime = std::chrono::milliseconds(5'000);
constexpr auto kDelayMin = std::chrono::milliseconds(500);  // after a write that failed
constexpr auto kDelayMax = std::chrono::milliseconds(60'000);

std::string now_text()
{
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string collection_of(const model::ObjectKey& key, const Record& record)
{
    std::string path = "/apis/" + record.api_version;
    if (!key.ns.empty())
        path += "/namespaces/" + key.ns;
    return path + "/" + record.plural;
}

// What the server answered with, as the source would hold it.
std::optional<Record> record_of(const nlohmann::json& object, Record known)
{
    if (!object.is_object() || !object.contains("metadata") || !object.at("metadata").is_object())
        return std::nullopt;
    known.resource_version = object.at("metadata").value("resourceVersion", "");
    known.uid = object.at("metadata").value("uid", "");
    known.status = object.contains("status") ? object.at("status").dump() : "";
    return known;
}

}  // namespace

StatusWriter::StatusWriter(std::shared_ptr<const KubeConfig> config, Records& records, std::string controller_name)
    : config_(std::move(config)),
      records_(&records),
      controller_name_(std::move(controller_name)),
      events_left_(kEventsAtOnce),
      events_earned_(Clock::now())
{
    for (std::size_t i = 0; i < kThreads; ++i)
        threads_.emplace_back([this](const std::stop_token& stop) { run(stop); });
}

StatusWriter::~StatusWriter()
{
    for (std::jthread& thread : threads_)
        thread.request_stop();
    threads_.clear();
}

void StatusWriter::make_due(const model::ObjectKey& key)
{
    if (const auto failed = failed_.find(key); failed != failed_.end())
        later_.erase({failed->second.again, key});
    if (is_due_.insert(key).second && !busy_.contains(key))
        due_.push_back(key);
}

void StatusWriter::make_ripe_due()
{
    while (!later_.empty() && later_.begin()->first <= Clock::now()) {
        const model::ObjectKey key = later_.begin()->second;
        make_due(key);
    }
}

void StatusWriter::want(model::Statuses statuses)
{
    const std::lock_guard lock(mutex_);
    model::for_each_change(wanted_, statuses,
                           [this](const model::ObjectStatus*, const model::ObjectStatus& is) { make_due(is.key); });
    wanted_ = std::move(statuses);
    due_changed_.notify_all();
}

void StatusWriter::look_at(const model::ObjectKey& key)
{
    const std::lock_guard lock(mutex_);
    make_due(key);
    due_changed_.notify_all();
}

void StatusWriter::forget(const model::ObjectKey& key)
{
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::lower_bound(wanted_, key, {}, model::key_of);
    if (found != wanted_.end() && (*found)->key == key)
        wanted_.erase(found);
}

void StatusWriter::set_leading(bool leading)
{
    const std::lock_guard lock(mutex_);
    if (std::exchange(leading_, leading) || !leading)
        return;
    for (const Shared<model::ObjectStatus>& status : wanted_)
        make_due(status->key);
    due_changed_.notify_all();
}

Shared<model::ObjectStatus> StatusWriter::take(const std::stop_token& stop)
{
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        make_ripe_due();
        if (!leading_ || due_.empty()) {
            const auto next = later_.empty() ? Clock::time_point::max() : later_.begin()->first;
            due_changed_.wait_until(lock, stop, next, [this, next] {
                return (leading_ && !due_.empty()) || (!later_.empty() && later_.begin()->first < next);
            });
            continue;
        }
        const model::ObjectKey key = std::move(due_.front());
        due_.pop_front();
        is_due_.erase(key);
        const auto found = std::ranges::lower_bound(wanted_, key, {}, model::key_of);
        if (found == wanted_.end() || (*found)->key != key) {
            failed_.erase(key);
            continue;
        }
        busy_.insert(key);
        return *found;
    }
    return nullptr;
}

void StatusWriter::finish(const model::ObjectKey& key, Again again)
{
    const std::lock_guard lock(mutex_);
    busy_.erase(key);
    const bool is_due = is_due_.contains(key);  // wanted anew meanwhile
    if (again) {
        Failed& failed = failed_[key];
        const auto delay = std::min(kDelayMin * (1U << std::min(failed.times, 7U)), kDelayMax);
        failed = {failed.times + 1, Clock::now() + std::max<Clock::duration>(delay, *again)};
        if (!is_due)
            later_.emplace(failed.again, key);
    } else {
        failed_.erase(key);
    }
    if (is_due)
        due_.push_back(key);
    due_changed_.notify_all();  // of those that wait none may know of this time
}

void StatusWriter::run(const std::stop_token& stop)
{
    ApiClient client(config_);
    while (const auto wanted = take(stop)) {
        auto record = records_->record(wanted->key);
        finish(wanted->key, record ? put(client, wanted, *std::move(record), stop) : std::nullopt);
    }
}

bool StatusWriter::is_to_be_written(const Shared<model::ObjectStatus>& status)
{
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::lower_bound(wanted_, status->key, {}, model::key_of);
    return leading_ && found != wanted_.end() && *found == status;
}

StatusWriter::Again StatusWriter::put(ApiClient& client, const Shared<model::ObjectStatus>& status, Record record,
                                      const std::stop_token& stop)
{
    const model::ObjectStatus& wanted = *status;
    for (int conflicts = 0; conflicts < kConflictsMax; ++conflicts) {
        // Meanwhile another node may lead, or something newer be wanted, which is due then.
        if (conflicts > 0 && !is_to_be_written(status))
            return std::nullopt;
        const auto current = nlohmann::json::parse(record.status, nullptr, false);
        const std::string now = now_text();
        const auto merged =
            merged_status(current.is_object() ? current : nlohmann::json::object(), wanted, controller_name_, now);
        if (!merged)
            return std::nullopt;
        const nlohmann::json object{{"apiVersion", record.api_version},
                                    {"kind", wanted.key.kind},
                                    {"metadata",
                                     {{"name", wanted.key.name},
                                      {"namespace", wanted.key.ns},
                                      {"resourceVersion", record.resource_version},
                                      {"uid", record.uid}}},
                                    {"status", *merged}};
        const std::string collection = collection_of(wanted.key, record);
        auto answer = client.call({.method = "PUT",
                                   .path = collection + "/" + wanted.key.name + "/status",
                                   .body = object.dump(),
                                   .timeout = kCallTime},
                                  stop);
        if (answer && answer->status == 200) {
            if (const auto written = record_of(nlohmann::json::parse(answer->body, nullptr, false), record))
                records_->note_written(wanted.key, record, *written);
            tell(client, condition_events(current, *merged, wanted.key, record, controller_name_, now), stop);
            return std::nullopt;
        }
        if (answer && answer->status == 404)
            return std::nullopt;  // it is gone
        std::optional<Record> newer;
        if (answer && answer->status == 409) {
            // Somebody wrote since: look at it as it is now, by a list, which needs no right of its own.
            answer = client.call(
                {.path = collection + "?fieldSelector=metadata.name%3D" + wanted.key.name, .timeout = kCallTime}, stop);
            const auto list = nlohmann::json::parse(answer ? answer->body : "", nullptr, false);
            if (list.is_object() && list.contains("items") && list.at("items").is_array()) {
                if (list.at("items").empty())
                    return std::nullopt;
                newer = record_of(list.at("items").front(), record);
            }
        }
        if (!newer) {
            if (!stop.stop_requested())
                spdlog::warn("the status of {} is not written: {}", wanted.key.to_string(),
                             answer ? "the API server answers " + std::to_string(answer->status) + " " +
                                          printable(answer->body)
                                    : to_string(answer.error()));
            return answer ? answer->retry_after : std::chrono::seconds(0);
        }
        if (newer->uid != record.uid)
            return std::nullopt;  // another object of that name: the source will tell
        record = *std::move(newer);
    }
    return std::chrono::seconds(0);
}

// Events are a courtesy: what the server does not take, or what would be too many, is left out.
bool StatusWriter::may_tell()
{
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    const auto earned = (now - events_earned_) / kEventEvery;
    events_earned_ += earned * kEventEvery;
    events_left_ = std::min<long>(kEventsAtOnce, events_left_ + earned);
    if (events_left_ == 0 || now < events_again_)
        return false;
    --events_left_;
    return true;
}

void StatusWriter::tell(ApiClient& client, const std::vector<nlohmann::json>& events, const std::stop_token& stop)
{
    for (const nlohmann::json& event : events) {
        if (!may_tell())
            return;
        const std::string ns = event.at("metadata").at("namespace");
        const auto answer = client.call({.method = "POST",
                                         .path = "/api/v1/namespaces/" + ns + "/events",
                                         .body = event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
                                         .timeout = kEventTime},
                                        stop);
        if (answer && answer->status == 201)
            continue;
        spdlog::debug("an Event is not written: {}", answer ? printable(answer->body) : to_string(answer.error()));
        if (!answer || answer->status == 429 || answer->status >= 500) {
            // One after the other they would hold up statuses.
            const std::lock_guard lock(mutex_);
            events_again_ = Clock::now() + kEventsPause;
        }
    }
}

}  // namespace sluice::source
