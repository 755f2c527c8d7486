// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/service_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/model/gateway.h"
#include "agent/source/text.h"
#include "base/log.h"

namespace sluice::source {
namespace {

using State = model::InfrastructureService::State;
using nlohmann::json;
using std::chrono::seconds;

constexpr seconds kDelayMin(1);  // after a write that failed
constexpr seconds kDelayMax(60);

json object_of(const model::InfrastructureService& service, const Record& gateway)
{
    json ports = json::array();
    for (const auto& port : service.ports)
        ports.push_back({{"name", port.name}, {"protocol", port.protocol}, {"port", port.port}});
    const json owner{{"apiVersion", gateway.api_version},
                     {"kind", model::Gateway::kKind},
                     {"name", service.gateway},
                     {"uid", gateway.uid},
                     {"controller", true}};
    return {{"apiVersion", "v1"},
            {"kind", "Service"},
            {"metadata",
             {{"name", service.name},
              {"namespace", service.ns},
              {"labels", service.labels},
              {"annotations", service.annotations},
              {"ownerReferences", json::array({owner})}}},
            {"spec", {{"clusterIP", "None"}, {"ports", std::move(ports)}}}};
}

}  // namespace

ServiceWriter::ServiceWriter(std::shared_ptr<const KubeConfig> config, const Records& records)
    : config_(std::move(config)), records_(&records), thread_([this](const std::stop_token& stop) { run(stop); })
{
}

ServiceWriter::~ServiceWriter()
{
    thread_.request_stop();
    thread_.join();
}

void ServiceWriter::want(const std::vector<model::InfrastructureService>& services)
{
    const std::lock_guard lock(mutex_);
    std::vector<Due> due;
    for (const model::InfrastructureService& service : services) {
        if (service.state != State::Missing && service.state != State::Outdated)
            continue;
        const auto known = std::ranges::find(due_, service, &Due::service);
        due.push_back(known != due_.end() ? *known : Due{.service = service});
    }
    due_ = std::move(due);
    changed_.notify_all();
}

const ServiceWriter::Due* ServiceWriter::next() const
{
    const auto first = std::ranges::min_element(due_, {}, &Due::when);
    return first == due_.end() ? nullptr : &*first;
}

void ServiceWriter::finish(const model::InfrastructureService& service, const Again& again)
{
    const auto due = std::ranges::find(due_, service, &Due::service);
    if (due == due_.end())
        return;  // it is no longer wanted so
    if (!again) {
        due_.erase(due);
        return;
    }
    const auto delay = std::min(kDelayMin * (1U << std::min(due->failures, 6U)), kDelayMax);
    due->when = Clock::now() + std::max(delay, *again);
    ++due->failures;
}

void ServiceWriter::run(const std::stop_token& stop)
{
    ApiClient client(config_);
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        const Due* due = next();
        const auto when = due == nullptr ? Clock::time_point::max() : due->when;
        if (when > Clock::now()) {
            changed_.wait_until(lock, stop, when, [this, when] { return next() != nullptr && next()->when < when; });
            continue;
        }
        const model::InfrastructureService service = due->service;
        lock.unlock();
        const Again again = write(client, service, stop);
        lock.lock();
        finish(service, again);
    }
}

ServiceWriter::Again ServiceWriter::write(ApiClient& client, const model::InfrastructureService& service,
                                          const std::stop_token& stop)
{
    const auto gateway = records_->record({model::Gateway::kKind, service.ns, service.gateway});
    if (!gateway)
        return std::nullopt;  // it is gone meanwhile
    const std::string path = "/api/v1/namespaces/" + service.ns + "/services";
    // One that is missing is created: what somebody else makes of that name meanwhile is not ours.
    const bool is_new = service.state == State::Missing;
    const auto answer = client.call({.method = is_new ? "POST" : "PUT",
                                     .path = is_new ? path : path + "/" + service.name,
                                     .body = object_of(service, *gateway).dump()},
                                    stop);
    if (stop.stop_requested() || (answer && (answer->status / 100 == 2 || answer->status == 409)))
        return std::nullopt;
    spdlog::warn("the Service {}/{} of Gateway {} is not written: {}", service.ns, service.name, service.gateway,
                 answer ? "the API server answers " + std::to_string(answer->status) + " " + printable(answer->body)
                        : to_string(answer.error()));
    return answer ? answer->retry_after : seconds(0);
}

}  // namespace sluice::source
