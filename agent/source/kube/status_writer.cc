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
constexpr auto kPause = std::chrono::milliseconds(500);  // after a write that failed

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
      events_earned_(std::chrono::steady_clock::now())
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
    if (is_due_.insert(key).second && !busy_.contains(key))
        due_.push_back(key);
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
    // The wait is over as well when the thread is to end, and says then only whether something is due.
    while (due_changed_.wait(lock, stop, [this] { return leading_ && !due_.empty(); }) && !stop.stop_requested()) {
        const model::ObjectKey key = std::move(due_.front());
        due_.pop_front();
        is_due_.erase(key);
        const auto found = std::ranges::lower_bound(wanted_, key, {}, model::key_of);
        if (found == wanted_.end() || (*found)->key != key)
            continue;
        busy_.insert(key);
        return *found;
    }
    return nullptr;
}

void StatusWriter::finish(const model::ObjectKey& key, bool again)
{
    const std::lock_guard lock(mutex_);
    busy_.erase(key);
    if (again)
        is_due_.insert(key);
    if (!is_due_.contains(key))
        return;
    due_.push_back(key);  // wanted anew meanwhile
    due_changed_.notify_one();
}

void StatusWriter::run(const std::stop_token& stop)
{
    ApiClient client(config_);
    while (const auto wanted = take(stop)) {
        const bool is_done = write(client, *wanted, stop);
        if (!is_done) {
            std::unique_lock lock(mutex_);
            due_changed_.wait_for(lock, stop, kPause, [] { return false; });
        }
        finish(wanted->key, !is_done);
    }
}

bool StatusWriter::write(ApiClient& client, const model::ObjectStatus& wanted, const std::stop_token& stop)
{
    auto record = records_->record(wanted.key);
    return !record || put(client, wanted, *std::move(record), stop);
}

bool StatusWriter::put(ApiClient& client, const model::ObjectStatus& wanted, Record record, const std::stop_token& stop)
{
    for (int conflicts = 0; conflicts < kConflictsMax; ++conflicts) {
        const auto current = nlohmann::json::parse(record.status, nullptr, false);
        const std::string now = now_text();
        const auto merged =
            merged_status(current.is_object() ? current : nlohmann::json::object(), wanted, controller_name_, now);
        if (!merged)
            return true;
        const nlohmann::json object{{"apiVersion", record.api_version},
                                    {"kind", wanted.key.kind},
                                    {"metadata",
                                     {{"name", wanted.key.name},
                                      {"namespace", wanted.key.ns},
                                      {"resourceVersion", record.resource_version},
                                      {"uid", record.uid}}},
                                    {"status", *merged}};
        const std::string collection = collection_of(wanted.key, record);
        auto answer = client.call(
            {.method = "PUT", .path = collection + "/" + wanted.key.name + "/status", .body = object.dump()}, stop);
        if (answer && answer->status == 200) {
            if (const auto written = record_of(nlohmann::json::parse(answer->body, nullptr, false), record))
                records_->note_written(wanted.key, record, *written);
            tell(client, condition_events(current, *merged, wanted.key, record, controller_name_, now), stop);
            return true;
        }
        if (answer && answer->status == 404)
            return true;  // it is gone
        std::optional<Record> newer;
        if (answer && answer->status == 409) {
            // Somebody wrote since: look at it as it is now, by a list, which needs no right of its own.
            answer = client.call({.path = collection + "?fieldSelector=metadata.name%3D" + wanted.key.name}, stop);
            const auto list = nlohmann::json::parse(answer ? answer->body : "", nullptr, false);
            if (list.is_object() && list.contains("items") && list.at("items").is_array()) {
                if (list.at("items").empty())
                    return true;
                newer = record_of(list.at("items").front(), record);
            }
        }
        if (!newer) {
            if (!stop.stop_requested())
                spdlog::warn("the status of {} is not written: {}", wanted.key.to_string(),
                             answer ? "the API server answers " + std::to_string(answer->status) + " " +
                                          printable(answer->body)
                                    : to_string(answer.error()));
            return false;
        }
        if (newer->uid != record.uid)
            return true;  // another object of that name: the source will tell
        record = *std::move(newer);
    }
    return false;
}

// Events are a courtesy: what the server does not take, or what would be too many, is left out.
void StatusWriter::tell(ApiClient& client, const std::vector<nlohmann::json>& events, const std::stop_token& stop)
{
    for (const nlohmann::json& event : events) {
        {
            const std::lock_guard lock(mutex_);
            const auto now = std::chrono::steady_clock::now();
            const auto earned = (now - events_earned_) / kEventEvery;
            events_earned_ += earned * kEventEvery;
            events_left_ = std::min<long>(kEventsAtOnce, events_left_ + earned);
            if (events_left_ == 0)
                return;
            --events_left_;
        }
        const std::string ns = event.at("metadata").at("namespace");
        const auto answer = client.call({.method = "POST",
                                         .path = "/api/v1/namespaces/" + ns + "/events",
                                         .body = event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
                                         .timeout = kEventTime},
                                        stop);
        if (!answer || answer->status != 201)
            spdlog::debug("an Event is not written: {}", answer ? printable(answer->body) : to_string(answer.error()));
    }
}

}  // namespace sluice::source
