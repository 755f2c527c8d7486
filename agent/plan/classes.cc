// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/classes.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "agent/plan/addresses.h"
#include "agent/plan/hostname.h"
#include "agent/plan/status.h"

namespace sluice::plan {
namespace {

// One of our GatewayClasses, and what its parametersRef leads to.
struct ClassState {
    const model::GatewayClass* spec = nullptr;
    Verdict parameters;
    const model::NodeGatewayConfig* config = nullptr;
};

ClassState class_state(const model::GatewayClass& gateway_class, const model::Objects& objects)
{
    ClassState state{.spec = &gateway_class, .parameters = {}, .config = nullptr};
    const auto config_named = [&](const std::string& name) {
        return std::ranges::find(objects.node_gateway_configs, name,
                                 [](const auto& one) -> const auto& { return one.meta.name; });
    };
    if (!gateway_class.parameters_ref) {
        // The one that bears the class's own name: both can be applied, and applied again, in any order.
        if (const auto own = config_named(gateway_class.meta.name); own != objects.node_gateway_configs.end())
            state.config = &*own;
        return state;
    }
    const model::ParametersReference& ref = *gateway_class.parameters_ref;
    const std::string field = fmt::format("GatewayClass {}: spec.parametersRef", gateway_class.meta.name);
    const auto config = config_named(ref.name);
    if (ref.group != model::kConfigGroup || ref.kind != model::NodeGatewayConfig::kKind)
        state.parameters = {"InvalidParameters",
                            fmt::format("{} names a kind that is not known; {}/{} is accepted", field,
                                        model::kConfigGroup, model::NodeGatewayConfig::kKind)};
    else if (ref.ns)
        state.parameters = {"InvalidParameters", fmt::format("{}.namespace is set, but a {} has none; leave it out",
                                                             field, model::NodeGatewayConfig::kKind)};
    else if (config == objects.node_gateway_configs.end())
        state.parameters = {"InvalidParameters",
                            fmt::format("{}: {} {} does not exist", field, model::NodeGatewayConfig::kKind, ref.name)};
    else
        state.config = &*config;
    return state;
}

model::ObjectStatus class_status(const ClassState& state)
{
    model::ObjectStatus status;
    status.key = {model::GatewayClass::kKind, "", state.spec->meta.name};
    status.conditions.push_back(make_condition("Accepted", state.parameters, "Accepted", state.spec->meta.generation,
                                               "handled by this controller"));
    return status;
}

void choose_parameters(GatewayState& gateway, const ClassState& of_class)
{
    gateway.parameters = of_class.parameters;
    if (of_class.config != nullptr && !of_class.config->pools.empty())
        gateway.pools = of_class.config;
    if (gateway.parameters.ok() && gateway.spec->has_parameters_ref)
        gateway.parameters = {"InvalidParameters",
                              fmt::format("Gateway {}: spec.infrastructure.parametersRef names a kind that is not "
                                          "known; leave it out",
                                          full_name(gateway.spec->meta))};
}

}  // namespace

std::vector<GatewayState> find_gateways(const model::Objects& objects, const NodeFacts& facts,
                                        model::Statuses& statuses)
{
    std::unordered_map<std::string_view, ClassState> ours;
    for (const model::GatewayClass& gateway_class : objects.gateway_classes) {
        if (gateway_class.controller_name != facts.controller_name)
            continue;
        const auto added = ours.emplace(gateway_class.meta.name, class_state(gateway_class, objects)).first;
        statuses.push_back(class_status(added->second));
    }
    std::vector<GatewayState> gateways;
    for (const model::Gateway& spec : objects.gateways) {
        const auto found = ours.find(spec.gateway_class_name);
        if (found == ours.end())
            continue;
        GatewayState& gateway = gateways.emplace_back();
        gateway.spec = &spec;
        choose_parameters(gateway, found->second);
        for (const model::Listener& listener : spec.listeners) {
            ListenerState& state = gateway.listeners.emplace_back();
            state.spec = &listener;
            state.name = full_name(spec.meta) + "/" + listener.name;
            state.hostname = to_lower(listener.hostname);
        }
    }
    std::ranges::sort(
        gateways, [](const GatewayState& a, const GatewayState& b) { return is_older(a.spec->meta, b.spec->meta); });
    assign_addresses(gateways, objects, facts);
    return gateways;
}

}  // namespace sluice::plan
