// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/infrastructure.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/mix.h"

namespace sluice::plan {
namespace {

constexpr std::size_t kLabelSizeMax = 63;  // of a label's value, and of a Service's name

// The beginning of `text`, and a hash of `identity`.
std::string with_hash(std::string text, std::string_view identity)
{
    std::uint64_t hash = 0;
    for (const char c : identity)
        hash = mix(hash ^ static_cast<std::uint8_t>(c));
    const std::string suffix = fmt::format("-{:08x}", hash >> 32);
    text.resize(std::min(text.size(), kLabelSizeMax - suffix.size()));
    // A name's part ends neither with a dot nor with a dash.
    while (text.ends_with('-') || text.ends_with('.'))
        text.pop_back();
    return text + suffix;
}

// GEP-1762's name, changed where a Service cannot have it (RFC 1035 label) or another Gateway's has it already: a
// Gateway's name may begin with a digit, hold dots and have 253 characters.
std::string service_name(const model::Gateway& gateway, bool is_taken)
{
    const std::string wanted = gateway.meta.name + "-" + gateway.gateway_class_name;
    std::string name = wanted;
    std::ranges::replace(name, '.', '-');
    if (name.front() < 'a')
        name.insert(0, "gw-");
    if (name == wanted && name.size() <= kLabelSizeMax && !is_taken)
        return name;
    return with_hash(name, gateway.meta.name + "/" + gateway.gateway_class_name);
}

std::vector<InfrastructureService::Port> ports_of(const model::Gateway& gateway)
{
    std::set<std::pair<std::uint16_t, bool>> ports;
    for (const model::Listener& listener : gateway.listeners)
        if (listener.port != 0)
            ports.emplace(listener.port, listener.protocol == "UDP");
    std::vector<InfrastructureService::Port> result;
    for (const auto& [port, udp] : ports)
        result.push_back({fmt::format("{}-{}", udp ? "udp" : "tcp", port), udp ? "UDP" : "TCP", port});
    return result;
}

}  // namespace

std::string label_value(const std::string& name) { return name.size() <= kLabelSizeMax ? name : with_hash(name, name); }

std::vector<InfrastructureService> infrastructure_services(const std::vector<GatewayState>& gateways)
{
    std::set<std::pair<std::string, std::string>> names;
    std::vector<InfrastructureService> services;
    for (const GatewayState& gateway : gateways) {
        if (!gateway.parameters.ok())
            continue;
        const model::Gateway& spec = *gateway.spec;
        InfrastructureService& service = services.emplace_back();
        service.ns = spec.meta.ns;
        service.gateway = spec.meta.name;
        service.name = service_name(spec, false);
        if (!names.emplace(service.ns, service.name).second)
            service.name = service_name(spec, true);
        service.labels = spec.infrastructure_labels;
        service.labels.insert_or_assign(kGatewayNameLabel, label_value(spec.meta.name));
        service.labels.insert_or_assign(kManagedByLabel, kManagedBy);
        service.annotations = spec.infrastructure_annotations;
        service.ports = ports_of(spec);
    }
    std::ranges::sort(services, [](const InfrastructureService& a, const InfrastructureService& b) {
        return std::tie(a.ns, a.name) < std::tie(b.ns, b.name);
    });
    return services;
}

}  // namespace sluice::plan
