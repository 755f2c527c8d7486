// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/service_writer.h"

#include <nlohmann/json.hpp>

#include "agent/model/gateway.h"
#include "agent/source/text.h"
#include "base/log.h"

namespace sluice::source {
namespace {

using State = model::InfrastructureService::State;
using nlohmann::json;

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

ServiceWriter::ServiceWriter(std::shared_ptr<const KubeConfig> config, KubeSource& source)
    : config_(std::move(config)), source_(&source), thread_([this](const std::stop_token& stop) { run(stop); })
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
    due_.clear();
    for (const model::InfrastructureService& service : services) {
        if (service.state == State::Missing || service.state == State::Outdated)
            due_.push_back(service);
    }
    changed_.notify_all();
}

void ServiceWriter::run(const std::stop_token& stop)
{
    ApiClient client(config_);
    for (;;) {
        model::InfrastructureService service;
        {
            std::unique_lock lock(mutex_);
            if (!changed_.wait(lock, stop, [this] { return !due_.empty(); }))
                return;
            service = std::move(due_.back());
            due_.pop_back();
        }
        write(client, service, stop);
    }
}

void ServiceWriter::write(ApiClient& client, const model::InfrastructureService& service, const std::stop_token& stop)
{
    const auto gateway = source_->record({model::Gateway::kKind, service.ns, service.gateway});
    if (!gateway)
        return;  // it is gone meanwhile
    const std::string path = "/api/v1/namespaces/" + service.ns + "/services";
    // One that is missing is created: what somebody else makes of that name meanwhile is not ours.
    const bool is_new = service.state == State::Missing;
    const auto answer = client.call({.method = is_new ? "POST" : "PUT",
                                     .path = is_new ? path : path + "/" + service.name,
                                     .body = object_of(service, *gateway).dump()},
                                    stop);
    if (stop.stop_requested() || (answer && (answer->status / 100 == 2 || answer->status == 409)))
        return;
    spdlog::warn("the Service {}/{} of Gateway {} is not written: {}", service.ns, service.name, service.gateway,
                 answer ? "the API server answers " + std::to_string(answer->status) + " " + printable(answer->body)
                        : to_string(answer.error()));
}

}  // namespace sluice::source
