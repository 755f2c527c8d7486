// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "agent/admin/report.h"

namespace sluice::admin {
namespace {

using nlohmann::json;

json to_value(const model::RouteGroupKind& value);
json to_value(const model::GatewayAddress& value);
json to_value(const model::Condition& value);
json to_value(const model::ListenerStatus& value);
json to_value(const model::RouteParentStatus& value);
json to_value(const model::PolicyAncestorStatus& value);
json to_value(const Shared<model::ObjectStatus>& value);
json to_value(const plan::Backend& value);
json to_value(const ListenerReport& value);
json to_value(const source::Problem& value);
json to_value(const Attachment& value);

template <class T> json to_list(const std::vector<T>& items)
{
    json list = json::array();
    for (const T& item : items)
        list.push_back(to_value(item));
    return list;
}

json to_value(const model::Condition& condition)
{
    return {{"type", condition.type},
            {"status", condition.status ? "True" : "False"},
            {"reason", condition.reason},
            {"message", condition.message},
            {"observedGeneration", condition.observed_generation}};
}

json to_value(const model::ParentReference& parent)
{
    json value{{"group", parent.group}, {"kind", parent.kind}, {"name", parent.name}};
    if (parent.ns)
        value["namespace"] = *parent.ns;
    if (parent.section_name)
        value["sectionName"] = *parent.section_name;
    if (parent.port)
        value["port"] = *parent.port;
    return value;
}

json to_value(const model::GatewayAddress& address) { return {{"type", address.type}, {"value", address.value}}; }

json to_value(const model::RouteGroupKind& kind) { return {{"group", kind.group}, {"kind", kind.kind}}; }

json to_value(const model::ListenerStatus& listener)
{
    return {{"name", listener.name},
            {"supportedKinds", to_list(listener.supported_kinds)},
            {"attachedRoutes", listener.attached_routes},
            {"conditions", to_list(listener.conditions)}};
}

json to_value(const model::RouteParentStatus& parent)
{
    return {{"parentRef", to_value(parent.parent)}, {"conditions", to_list(parent.conditions)}};
}

json to_value(const model::PolicyAncestorStatus& ancestor)
{
    return {{"ancestorRef", to_value(ancestor.ancestor)}, {"conditions", to_list(ancestor.conditions)}};
}

json to_value(const Shared<model::ObjectStatus>& shared)
{
    const model::ObjectStatus& object = *shared;
    json value{{"kind", object.key.kind}, {"namespace", object.key.ns}, {"name", object.key.name}};
    if (!object.conditions.empty())
        value["conditions"] = to_list(object.conditions);
    if (!object.addresses.empty())
        value["addresses"] = to_list(object.addresses);
    if (!object.listeners.empty())
        value["listeners"] = to_list(object.listeners);
    if (!object.parents.empty())
        value["parents"] = to_list(object.parents);
    if (!object.ancestors.empty())
        value["ancestors"] = to_list(object.ancestors);
    return value;
}

json to_value(const plan::Backend& backend)
{
    json endpoints = json::array();
    for (const SocketAddress& endpoint : backend.endpoints)
        endpoints.push_back(endpoint.to_string());
    return {{"name", backend.name},
            {"weight", backend.weight},
            {"valid", backend.valid},
            {"reason", backend.invalid_reason},
            {"endpoints", std::move(endpoints)}};
}

json to_value(const ListenerReport& listener)
{
    json counters = listener.counters;
    counters["reasons"] = listener.reasons;
    return {{"name", listener.name},           {"addresses", listener.addresses},
            {"port", listener.port},           {"protocol", listener.protocol},
            {"path", listener.path},           {"problem", listener.problem},
            {"counters", std::move(counters)}, {"backends", to_list(listener.backends)}};
}

json to_value(const source::Problem& problem)
{
    return {{"file", problem.file},   {"line", problem.line},   {"object", problem.object},
            {"field", problem.field}, {"value", problem.value}, {"message", problem.message},
            {"fatal", problem.fatal}};
}

json to_value(const Attachment& attachment)
{
    return {{"hook", attachment.hook}, {"interface", attachment.interface}, {"program", attachment.program}};
}

}  // namespace

std::string to_json(const Report& report)
{
    const json value{{"ready", report.ready},
                     {"generation", report.generation},
                     {"version", report.version},
                     {"io", report.io},
                     {"l4", report.l4},
                     {"l4Reason", report.l4_reason},
                     {"workers", report.workers},
                     {"openConnections", report.open_connections},
                     {"limitHits", report.limit_hits},
                     {"listeners", to_list(report.listeners)},
                     {"objects", to_list(report.objects)},
                     {"problems", to_list(report.problems)},
                     {"attachments", to_list(report.attachments)}};
    // Text out of manifests may hold bytes that are no UTF-8: they are replaced, never an exception.
    return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::admin
