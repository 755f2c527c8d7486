// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/membership.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/source/kube/lease_time.h"
#include "base/log.h"

namespace sluice::source {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kDuration(3);
constexpr milliseconds kEvery(1'000);
constexpr milliseconds kSoon(100);  // while somebody waits for what is read
constexpr milliseconds kCallTime(2'000);
constexpr milliseconds kLeaveTime(1'000);
constexpr const char* kSelector = "app.kubernetes.io%2Fname%3Dsluice%2Csluice.dev%2Fnode";
constexpr const char* kServedAnnotation = "sluice.dev/served";
constexpr std::size_t kServedBytesMax = 200'000;  // the API bounds all annotations of an object to 256 KiB
constexpr std::size_t kWhyBytesMax = 200;

std::string text_at(const json& object, const char* key)
{
    const auto found = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

const json& part(const json& object, const char* key)
{
    static const json empty = json::object();
    const auto found = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && found != object.end() ? *found : empty;
}

json failures(const std::map<std::string, std::string>& failed, std::size_t why_bytes_max)
{
    json result = json::object();
    for (const auto& [what, why] : failed)
        result[what] = why.substr(0, why_bytes_max);
    return result;
}

std::string to_text(const model::ServedGateways& served, std::size_t why_bytes_max)
{
    json result = json::object();
    for (const model::ServedGateway& one : served) {
        json& entry = result[one.gateway] = {{"generation", one.generation}, {"uid", one.uid}};
        if (!one.addresses.empty())
            entry["has"] = one.addresses;
        if (!one.failed_listeners.empty())
            entry["listeners"] = failures(one.failed_listeners, why_bytes_max);
        if (!one.failed_addresses.empty())
            entry["addresses"] = failures(one.failed_addresses, why_bytes_max);
    }
    return result.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::map<std::string, std::string> parse_failures(const json& object)
{
    std::map<std::string, std::string> failed;
    if (object.is_object()) {
        for (const auto& [what, why] : object.items())
            failed.emplace(what, why.is_string() ? why.get<std::string>() : "");
    }
    return failed;
}

std::set<std::string> parse_texts(const json& list)
{
    std::set<std::string> texts;
    if (list.is_array()) {
        for (const json& each : list)
            if (each.is_string())
                texts.insert(each.get<std::string>());
    }
    return texts;
}

}  // namespace

std::string served_text(const model::ServedGateways& served)
{
    for (const std::size_t why_bytes_max : {kWhyBytesMax, std::size_t{0}}) {
        std::string text = to_text(served, why_bytes_max);
        if (text.size() <= kServedBytesMax)
            return text;
    }
    return "";
}

model::ServedGateways parse_served(const std::string& text)
{
    model::ServedGateways served;
    const json object = json::parse(text, nullptr, false);
    if (!object.is_object())
        return served;
    for (const auto& [gateway, entry] : object.items()) {
        const json& generation = part(entry, "generation");
        if (generation.is_number_integer())
            served.push_back({.gateway = gateway,
                              .uid = text_at(entry, "uid"),
                              .generation = generation.get<std::int64_t>(),
                              .addresses = parse_texts(part(entry, "has")),
                              .failed_listeners = parse_failures(part(entry, "listeners")),
                              .failed_addresses = parse_failures(part(entry, "addresses"))});
    }
    return served;
}

Membership::Membership(std::shared_ptr<const KubeConfig> config, std::string ns, std::string node,
                       std::function<void(View)> on_change)
    : config_(std::move(config)),
      node_(std::move(node)),
      on_change_(std::move(on_change)),
      path_("/apis/coordination.k8s.io/v1/namespaces/" + ns + "/leases"),
      name_("sluice-node-" + node_),
      ns_(std::move(ns)),
      thread_([this](const std::stop_token& stop) { run(stop); })
{
}

void Membership::leave()
{
    if (!thread_.joinable())
        return;
    thread_.request_stop();
    thread_.join();
    if (!is_joined_)
        return;
    ApiClient client(config_);
    static_cast<void>(client.call({.method = "DELETE", .path = path_ + "/" + name_, .timeout = kLeaveTime}));
}

void Membership::join()
{
    const std::lock_guard lock(mutex_);
    is_joined_ = has_news_ = true;
    changed_.notify_all();
}

void Membership::hand_over()
{
    const std::lock_guard lock(mutex_);
    is_joined_ = false;
}

void Membership::say(model::ServedGateways served)
{
    const std::lock_guard lock(mutex_);
    if (served_ == served)
        return;
    served_ = std::move(served);
    has_news_ = true;
    changed_.notify_all();
}

void Membership::set_hurry(bool hurry)
{
    const std::lock_guard lock(mutex_);
    is_hurried_ = hurry;
    if (hurry)
        changed_.notify_all();
}

void Membership::run(const std::stop_token& stop)
{
    ApiClient client(config_);
    while (!stop.stop_requested()) {
        const bool is_renewed = renew(client, stop);
        const bool is_seen = look(client, stop);
        was_away_ = !is_renewed || !is_seen;
        wait(is_seen, stop);
    }
}

void Membership::wait(bool is_seen, const std::stop_token& stop)
{
    std::unique_lock lock(mutex_);
    // Nothing is served before the others are known for the first time.
    const bool is_first = !is_seen && view_.nodes.empty();
    changed_.wait_for(lock, stop, is_first ? kSoon : kEvery, [&] { return is_hurried_ || (is_joined_ && has_news_); });
    if (!is_hurried_ || has_news_)
        return;
    changed_.wait_for(lock, stop, kSoon, [&] { return is_joined_ && has_news_; });
}

bool Membership::renew(ApiClient& client, const std::stop_token& stop)
{
    std::string said;
    {
        const std::lock_guard lock(mutex_);
        if (!is_joined_)
            return true;
        has_news_ = false;
        said = served_text(served_);
        if (said.empty() && !std::exchange(is_speechless_, true))
            spdlog::error(
                "what this node serves is more than {} bytes, which the other nodes cannot be told: no Gateway "
                "is Programmed",
                kServedBytesMax);
    }
    json lease{{"metadata", {{"annotations", {{kServedAnnotation, said}}}}},
               {"spec",
                {{"holderIdentity", node_}, {"leaseDurationSeconds", kDuration.count()}, {"renewTime", micro_time()}}}};
    // Not by resourceVersion: nobody else writes it but, for a moment, the agent of this node that we succeed.
    auto written = client.call({.method = "PATCH",
                                .path = path_ + "/" + name_,
                                .body = lease.dump(),
                                .content_type = "application/merge-patch+json",
                                .timeout = kCallTime},
                               stop);
    if (written && written->status == 404) {
        lease["apiVersion"] = "coordination.k8s.io/v1";
        lease["kind"] = "Lease";
        lease["metadata"]["name"] = name_;
        lease["metadata"]["namespace"] = ns_;
        lease["metadata"]["labels"] = {{"app.kubernetes.io/name", "sluice"}, {"sluice.dev/node", node_}};
        written = client.call({.method = "POST", .path = path_, .body = lease.dump(), .timeout = kCallTime}, stop);
    }
    if (written && (written->status == 200 || written->status == 201))
        return true;
    const std::lock_guard lock(mutex_);
    has_news_ = false;  // it is said again with the next renewal
    return false;
}

bool Membership::look(ApiClient& client, const std::stop_token& stop)
{
    const auto answer =
        client.call({.path = path_ + "?resourceVersion=0&labelSelector=" + kSelector, .timeout = kCallTime}, stop);
    if (!answer || answer->status != 200)
        return false;
    const json list = json::parse(answer->body, nullptr, false);
    const json& items = part(list, "items");
    if (!items.is_array())
        return false;
    const auto now = Clock::now();
    std::map<std::string, Seen> seen;
    View view{.nodes = {node_}, .served = {}};
    for (const json& lease : items) {
        const std::string node = text_at(part(lease, "spec"), "holderIdentity");
        const std::string renewal = text_at(part(lease, "spec"), "renewTime");
        if (node.empty() || node == node_)
            continue;
        const auto known = seen_.find(node);
        // Nobody could renew while the server was away: their time begins anew.
        const bool is_unchanged = known != seen_.end() && known->second.renewal == renewal && !was_away_;
        const Seen& entry = seen[node] = {renewal, is_unchanged ? known->second.since : now};
        if (now - entry.since >= kDuration)
            continue;
        view.nodes.push_back(node);
        view.served[node] = parse_served(text_at(part(part(lease, "metadata"), "annotations"), kServedAnnotation));
    }
    seen_ = std::move(seen);
    std::ranges::sort(view.nodes);
    if (view == view_)
        return true;
    if (view.nodes != view_.nodes) {
        std::string names;
        for (const std::string& node : view.nodes)
            names += (names.empty() ? "" : ", ") + node;
        spdlog::info("serving nodes: {}", names);
    }
    view_ = view;
    on_change_(std::move(view));
    return true;
}

}  // namespace sluice::source
