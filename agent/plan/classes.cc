// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/classes.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "agent/plan/hostname.h"
#include "agent/plan/status.h"

namespace sluice::plan {
namespace {

Verdict class_parameters(const model::GatewayClass& gateway_class)
{
    if (!gateway_class.has_parameters_ref)
        return {};
    return {"InvalidParameters",
            fmt::format("GatewayClass {}: spec.parametersRef names a kind that is not known; leave it out",
                        gateway_class.meta.name)};
}

model::ObjectStatus class_status(const model::GatewayClass& gateway_class)
{
    model::ObjectStatus status;
    status.key = {model::GatewayClass::kKind, "", gateway_class.meta.name};
    status.conditions.push_back(make_condition("Accepted", class_parameters(gateway_class), "Accepted",
                                               gateway_class.meta.generation, "handled by this controller"));
    return status;
}

Verdict gateway_parameters(const model::Gateway& gateway, const model::GatewayClass& gateway_class)
{
    if (const Verdict verdict = class_parameters(gateway_class); !verdict.ok())
        return verdict;
    if (!gateway.has_parameters_ref)
        return {};
    return {"InvalidParameters", fmt::format("Gateway {}: spec.infrastructure.parametersRef names a kind that is not "
                                             "known; leave it out",
                                             full_name(gateway.meta))};
}

// Why an address cannot be made local and served; null when it can.
const char* address_problem(const std::optional<IpAddress>& address)
{
    if (!address)
        return "is not an IPv4 or IPv6 address";
    if (address->is_any())
        return "is the unspecified address";
    if (address->is_loopback())
        return "is a loopback address";
    if (address->is_multicast())
        return "is a multicast address";
    if (address->is_link_local())
        return "is a link-local address";
    if (address->is_v4() && address->bytes()[12] >= 240)
        return "is a reserved address";
    return nullptr;
}

void note(Verdict& verdict, const char* reason, const std::string& message)
{
    verdict.reason = reason;
    verdict.message += (verdict.message.empty() ? "" : "; ") + message;
}

void choose_addresses(GatewayState& gateway, const NodeFacts& facts)
{
    if (gateway.spec->addresses.empty()) {
        for (const IpAddress& address : facts.addresses)
            gateway.status_addresses.push_back({"IPAddress", address.to_string()});
        return;
    }
    for (std::size_t i = 0; i < gateway.spec->addresses.size(); ++i) {
        const model::GatewayAddress& wanted = gateway.spec->addresses[i];
        const std::string field = fmt::format("spec.addresses[{}]", i);
        if (wanted.type != "IPAddress") {
            note(gateway.address_types, "UnsupportedAddress",
                 fmt::format("{}.type \"{}\" is not supported; IPAddress is", field, wanted.type));
            continue;
        }
        if (wanted.value.empty()) {
            note(gateway.address_values, "AddressNotUsable",
                 field + ".value is empty and there is no pool to take an address from; write an IP address");
            continue;
        }
        const auto address = IpAddress::parse(wanted.value);
        if (const char* problem = address_problem(address)) {
            note(gateway.address_values, "AddressNotUsable",
                 fmt::format("{}.value \"{}\" {}; a unicast address is needed", field, wanted.value, problem));
            continue;
        }
        if (std::ranges::find(gateway.addresses, *address) == gateway.addresses.end()) {
            gateway.addresses.push_back(*address);
            gateway.status_addresses.push_back(wanted);
        }
    }
    std::ranges::sort(gateway.addresses);
}

}  // namespace

std::vector<GatewayState> find_gateways(const model::Objects& objects, const NodeFacts& facts,
                                        std::vector<model::ObjectStatus>& statuses)
{
    std::unordered_map<std::string_view, const model::GatewayClass*> ours;
    for (const model::GatewayClass& gateway_class : objects.gateway_classes) {
        if (gateway_class.controller_name != facts.controller_name)
            continue;
        ours.emplace(gateway_class.meta.name, &gateway_class);
        statuses.push_back(class_status(gateway_class));
    }
    std::vector<GatewayState> gateways;
    for (const model::Gateway& spec : objects.gateways) {
        const auto found = ours.find(spec.gateway_class_name);
        if (found == ours.end())
            continue;
        GatewayState& gateway = gateways.emplace_back();
        gateway.spec = &spec;
        gateway.parameters = gateway_parameters(spec, *found->second);
        choose_addresses(gateway, facts);
        for (const model::Listener& listener : spec.listeners) {
            ListenerState& state = gateway.listeners.emplace_back();
            state.spec = &listener;
            state.name = full_name(spec.meta) + "/" + listener.name;
            state.hostname = to_lower(listener.hostname);
        }
    }
    std::ranges::sort(
        gateways, [](const GatewayState& a, const GatewayState& b) { return is_older(a.spec->meta, b.spec->meta); });
    return gateways;
}

}  // namespace sluice::plan
