// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/status.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::plan {
namespace {

Verdict gateway_accepted(const GatewayState& gateway)
{
    if (!gateway.parameters.ok())
        return gateway.parameters;
    if (!gateway.address_types.ok())
        return gateway.address_types;
    if (std::ranges::none_of(gateway.listeners,
                             [](const auto& one) { return one.accepted.ok() && !one.supported_kinds.empty(); }))
        return {"ListenersNotValid", "no listener is valid; see the conditions in status.listeners"};
    return {};
}

// Accepted is true also when some listeners are not valid, with a reason of its own.
model::Condition gateway_accepted_condition(const GatewayState& gateway)
{
    std::string invalid;
    for (const ListenerState& listener : gateway.listeners)
        if (!listener.accepted.ok() || !listener.resolved.ok())
            invalid += (invalid.empty() ? "" : ", ") + listener.spec->name;
    const std::int64_t generation = gateway.spec->meta.generation;
    if (invalid.empty())
        return make_condition("Accepted", gateway_accepted(gateway), "Accepted", generation);
    return make_condition("Accepted", gateway_accepted(gateway), "ListenersNotValid", generation,
                          "not valid, see status.listeners: " + invalid);
}

bool falls_back_insecurely(const model::GatewayTls& tls)
{
    const auto insecure = [](const std::optional<model::ClientValidation>& one) {
        return one && one->mode == model::ClientValidation::Mode::AllowInsecureFallback;
    };
    return insecure(tls.client_validation) ||
           std::ranges::any_of(tls.client_validation_of_port, [&](const auto& one) { return insecure(one.second); });
}

Verdict gateway_programmed(const GatewayState& gateway)
{
    if (const Verdict accepted = gateway_accepted(gateway); !accepted.ok())
        return {"Invalid", accepted.message};
    if (std::ranges::none_of(gateway.listeners, [](const auto& one) {
            return one.accepted.ok() && one.usable && !one.supported_kinds.empty();
        }))
        return {"Invalid", "no listener can be served; see the conditions in status.listeners"};
    if (!gateway.address_values.ok())
        return gateway.address_values;
    if (gateway.status_addresses.empty())
        return {"AddressNotAssigned", "the node has no address; write one in spec.addresses"};
    return {};
}

Verdict listener_programmed(const GatewayState& gateway, const ListenerState& listener)
{
    if (listener.served)
        return {};
    for (const Verdict* cause : {&listener.accepted, &gateway.parameters, &listener.resolved, &gateway.address_types})
        if (!cause->ok())
            return {"Invalid", cause->message};
    if (gateway.address_values.reason == "AddressNotUsable")
        return {"Invalid", gateway.address_values.message};
    return {"Pending", "the Gateway has no address to serve on"};
}

model::ListenerStatus listener_status(const GatewayState& gateway, const ListenerState& listener)
{
    const std::int64_t generation = gateway.spec->meta.generation;
    model::ListenerStatus status;
    status.name = listener.spec->name;
    status.supported_kinds = listener.supported_kinds;
    status.attached_routes = static_cast<std::uint32_t>(listener.attachments.size());
    status.conditions = {
        make_condition("Accepted", listener.accepted, "Accepted", generation),
        make_condition("Programmed", listener_programmed(gateway, listener), "Programmed", generation),
        make_condition("ResolvedRefs", listener.resolved, "ResolvedRefs", generation),
    };
    const bool conflicted = !listener.conflict.ok();
    status.conditions.push_back({"Conflicted", conflicted, conflicted ? listener.conflict.reason : "NoConflicts",
                                 listener.conflict.message, generation});
    return status;
}

}  // namespace

model::Condition make_condition(const char* type, const Verdict& verdict, const char* good_reason,
                                std::int64_t generation, std::string good_message)
{
    if (verdict.ok())
        return {type, true, good_reason, std::move(good_message), generation};
    return {type, false, verdict.reason, verdict.message, generation};
}

model::ObjectStatus gateway_status(const GatewayState& gateway)
{
    const model::ObjectMeta& meta = gateway.spec->meta;
    model::ObjectStatus status;
    status.key = {model::Gateway::kKind, meta.ns, meta.name};
    status.uid = meta.uid;
    status.conditions = {
        gateway_accepted_condition(gateway),
        make_condition("Programmed", gateway_programmed(gateway), "Programmed", meta.generation),
        make_condition("ResolvedRefs", gateway.resolved, "ResolvedRefs", meta.generation),
    };
    if (falls_back_insecurely(gateway.spec->tls))
        status.conditions.push_back({"InsecureFrontendValidationMode", true, "ConfigurationChanged",
                                     "spec.tls.frontend: AllowInsecureFallback lets clients in whose certificate is "
                                     "missing or not valid",
                                     meta.generation});
    status.addresses = gateway.status_addresses;
    for (const ListenerState& listener : gateway.listeners)
        status.listeners.push_back(listener_status(gateway, listener));
    return status;
}

model::ObjectStatus route_status(const RouteState& route)
{
    const model::ObjectMeta& meta = route.spec->meta;
    model::ObjectStatus status;
    status.key = {route.kind, meta.ns, meta.name};
    for (const ParentState& parent : route.parents) {
        std::vector<model::Condition>& conditions = status.parents.emplace_back(parent.ref).conditions;
        conditions = {make_condition("Accepted", parent.accepted, "Accepted", meta.generation, parent.accepted_note),
                      make_condition("ResolvedRefs", route.resolved, "ResolvedRefs", meta.generation)};
        if (parent.accepted.ok() && !route.dropped.empty())
            conditions.push_back({"PartiallyInvalid", true, "UnsupportedValue", route.dropped, meta.generation});
    }
    return status;
}

}  // namespace sluice::plan
