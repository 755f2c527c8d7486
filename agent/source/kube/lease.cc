// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/lease.h"

#include <nlohmann/json.hpp>

#include "agent/source/kube/json_parts.h"
#include "agent/source/kube/lease_time.h"
#include "base/log.h"

namespace sluice::source {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kCallTime(3'000);
constexpr milliseconds kReleaseTime(2'000);

}  // namespace

Leadership::Leadership(std::shared_ptr<const KubeConfig> config, LeaseOptions options,
                       std::function<void(bool)> on_change)
    : config_(std::move(config)),
      options_(std::move(options)),
      on_change_(std::move(on_change)),
      path_("/apis/coordination.k8s.io/v1/namespaces/" + options_.ns + "/leases"),
      thread_([this](const std::stop_token& stop) { run(stop); })
{
}

Leadership::~Leadership()
{
    thread_.request_stop();
    thread_.join();
    if (!leading_)
        return;
    ApiClient client(config_);
    const auto current = client.call({.path = path_ + "/" + options_.name, .timeout = kReleaseTime / 2});
    json lease = current && current->status == 200 ? json::parse(current->body, nullptr, false) : json();
    if (!lease.is_object() || !lease.contains("spec") || text_at(lease.at("spec"), "holderIdentity") != options_.holder)
        return;
    lease["spec"]["holderIdentity"] = "";
    static_cast<void>(client.call(
        {.method = "PUT", .path = path_ + "/" + options_.name, .body = lease.dump(), .timeout = kReleaseTime / 2}));
}

void Leadership::set_leading(bool leading)
{
    if (std::exchange(leading_, leading) == leading)
        return;
    spdlog::info("this node {} the status of the cluster's objects", leading ? "writes" : "no longer writes");
    on_change_(leading);
}

void Leadership::run(const std::stop_token& stop)
{
    ApiClient client(config_);
    while (!stop.stop_requested()) {
        const bool is_held = hold(client, stop);
        // Who could not renew in time must not write any more: another may lead.
        if (!is_held && leading_ && Clock::now() - renewed_ > options_.duration - options_.renew)
            set_leading(false);
        pause(leading_ && is_held ? options_.renew : milliseconds(options_.renew) / 4, stop);
    }
}

bool Leadership::hold(ApiClient& client, const std::stop_token& stop)
{
    const auto now = Clock::now();
    const auto current = client.call({.path = path_ + "/" + options_.name, .timeout = kCallTime}, stop);
    if (!current)
        return false;
    if (current->status == 404)
        return create(client, stop);
    json lease = json::parse(current->body, nullptr, false);
    if (current->status != 200 || !lease.is_object() || !lease.contains("spec") || !lease.at("spec").is_object()) {
        if (!stop.stop_requested())
            spdlog::warn("Lease {}/{}: the API server answers {}", options_.ns, options_.name, current->status);
        return false;
    }
    json& spec = lease["spec"];
    const std::string holder = text_at(spec, "holderIdentity");
    const std::string renewal = holder + " " + text_at(spec, "renewTime");
    if (std::exchange(seen_, renewal) != renewal)
        seen_since_ = now;
    const bool is_ours = holder == options_.holder;
    if (!is_ours && !holder.empty() && now - seen_since_ < options_.duration) {
        set_leading(false);
        return true;
    }
    spec["renewTime"] = micro_time();
    spec["leaseDurationSeconds"] = options_.duration.count();
    if (!is_ours) {
        spec["holderIdentity"] = options_.holder;
        spec["acquireTime"] = spec["renewTime"];
        spec["leaseTransitions"] = spec.value("leaseTransitions", 0) + 1;
    }
    const auto written = client.call(
        {.method = "PUT", .path = path_ + "/" + options_.name, .body = lease.dump(), .timeout = kCallTime}, stop);
    if (!written || written->status != 200)
        return false;  // 409: somebody was faster
    renewed_ = now;
    set_leading(true);
    return true;
}

bool Leadership::create(ApiClient& client, const std::stop_token& stop)
{
    const auto now = Clock::now();
    const std::string stamp = micro_time();
    const json lease{{"apiVersion", "coordination.k8s.io/v1"},
                     {"kind", "Lease"},
                     {"metadata", {{"name", options_.name}, {"namespace", options_.ns}}},
                     {"spec",
                      {{"holderIdentity", options_.holder},
                       {"leaseDurationSeconds", options_.duration.count()},
                       {"acquireTime", stamp},
                       {"renewTime", stamp},
                       {"leaseTransitions", 0}}}};
    const auto made = client.call({.method = "POST", .path = path_, .body = lease.dump(), .timeout = kCallTime}, stop);
    if (made && made->status == 404)
        spdlog::warn("there is no namespace {} for Lease {}: nobody writes statuses", options_.ns, options_.name);
    if (!made || made->status != 201)
        return false;
    renewed_ = now;
    set_leading(true);
    return true;
}

}  // namespace sluice::source
