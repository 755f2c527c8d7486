// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/membership.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/source/kube/lease_time.h"
#include "base/log.h"

namespace sluice::source {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kDuration(3);
constexpr milliseconds kEvery(1'000);
constexpr milliseconds kCallTime(2'000);
constexpr milliseconds kLeaveTime(1'000);
constexpr const char* kSelector = "app.kubernetes.io%2Fname%3Dsluice%2Csluice.dev%2Fnode";

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

}  // namespace

Membership::Membership(std::shared_ptr<const KubeConfig> config, std::string ns, std::string node,
                       std::function<void(std::vector<std::string>)> on_change)
    : config_(std::move(config)),
      node_(std::move(node)),
      on_change_(std::move(on_change)),
      path_("/apis/coordination.k8s.io/v1/namespaces/" + ns + "/leases"),
      name_("sluice-node-" + node_),
      ns_(std::move(ns)),
      thread_([this](const std::stop_token& stop) { run(stop); })
{
}

Membership::~Membership()
{
    thread_.request_stop();
    thread_.join();
    ApiClient client(config_);
    static_cast<void>(client.call({.method = "DELETE", .path = path_ + "/" + name_, .timeout = kLeaveTime}));
}

void Membership::run(const std::stop_token& stop)
{
    ApiClient client(config_);
    while (!stop.stop_requested()) {
        const bool is_renewed = renew(client, stop);
        const bool is_seen = look(client, stop);
        was_away_ = !is_renewed || !is_seen;
        pause(kEvery, stop);
    }
}

bool Membership::renew(ApiClient& client, const std::stop_token& stop)
{
    json lease{{"apiVersion", "coordination.k8s.io/v1"},
               {"kind", "Lease"},
               {"metadata",
                {{"name", name_},
                 {"namespace", ns_},
                 {"labels", {{"app.kubernetes.io/name", "sluice"}, {"sluice.dev/node", node_}}}}},
               {"spec",
                {{"holderIdentity", node_}, {"leaseDurationSeconds", kDuration.count()}, {"renewTime", micro_time()}}}};
    if (resource_version_.empty()) {
        const auto current = client.call({.path = path_ + "/" + name_, .timeout = kCallTime}, stop);
        if (!current)
            return false;
        if (current->status == 200)
            resource_version_ =
                text_at(part(json::parse(current->body, nullptr, false), "metadata"), "resourceVersion");
    }
    const bool is_new = resource_version_.empty();
    if (!is_new)
        lease["metadata"]["resourceVersion"] = resource_version_;
    const auto written = client.call({.method = is_new ? "POST" : "PUT",
                                      .path = is_new ? path_ : path_ + "/" + name_,
                                      .body = lease.dump(),
                                      .timeout = kCallTime},
                                     stop);
    resource_version_.clear();
    if (!written || (written->status != 200 && written->status != 201))
        return false;
    resource_version_ = text_at(part(json::parse(written->body, nullptr, false), "metadata"), "resourceVersion");
    return true;
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
    std::vector<std::string> members{node_};
    for (const json& lease : items) {
        const std::string node = text_at(part(lease, "spec"), "holderIdentity");
        const std::string renewal = text_at(part(lease, "spec"), "renewTime");
        if (node.empty() || node == node_)
            continue;
        const auto known = seen_.find(node);
        // Nobody could renew while the server was away: their time begins anew.
        const bool is_unchanged = known != seen_.end() && known->second.renewal == renewal && !was_away_;
        const Seen& entry = seen[node] = {renewal, is_unchanged ? known->second.since : now};
        if (now - entry.since < kDuration)
            members.push_back(node);
    }
    seen_ = std::move(seen);
    std::ranges::sort(members);
    if (std::exchange(members_, members) != members) {
        std::string names;
        for (const std::string& node : members)
            names += (names.empty() ? "" : ", ") + node;
        spdlog::info("serving nodes: {}", names);
        on_change_(std::move(members));
    }
    return true;
}

}  // namespace sluice::source
