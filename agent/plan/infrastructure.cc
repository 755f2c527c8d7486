// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/infrastructure.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/mix.h"

namespace sluice::plan {
namespace {

using model::InfrastructureService;

constexpr std::size_t kLabelSizeMax = 63;  // of a label's value, and of a Service's name

std::uint64_t hash_of(std::string_view text, std::uint64_t hash = 0)
{
    for (const char c : text)
        hash = mix(hash ^ static_cast<std::uint8_t>(c));
    return mix(hash ^ text.size());
}

// The beginning of `text`, and a hash of `identity`.
std::string with_hash(std::string text, std::string_view identity)
{
    const std::uint64_t hash = hash_of(identity);
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

std::string digest_of(const InfrastructureService& service)
{
    std::uint64_t hash = 0;
    for (const model::Labels* map : {&service.labels, &service.annotations}) {
        for (const auto& [key, value] : *map)
            hash = hash_of(value, hash_of(key, hash));
        hash = mix(hash ^ map->size());
    }
    for (const InfrastructureService::Port& port : service.ports)
        hash = hash_of(port.name, hash);
    return fmt::format("{:016x}", hash);
}

bool holds(const model::Labels& all, const model::Labels& wanted)
{
    return std::ranges::all_of(wanted, [&](const auto& entry) {
        const auto found = all.find(entry.first);
        return found != all.end() && found->second == entry.second;
    });
}

InfrastructureService::State state_of(const InfrastructureService& wanted, const model::Service& is)
{
    using State = InfrastructureService::State;
    if (!holds(is.meta.labels, {{kManagedByLabel, kManagedBy}, {kGatewayNameLabel, label_value(wanted.gateway)}}))
        return State::Foreign;
    std::vector<InfrastructureService::Port> ports;
    for (const model::ServicePort& port : is.ports)
        ports.push_back({port.name, port.protocol, port.port});
    std::ranges::sort(ports);
    const bool is_current =
        holds(is.meta.labels, wanted.labels) && holds(is.meta.annotations, wanted.annotations) && ports == wanted.ports;
    return is_current ? State::Current : State::Outdated;
}

}  // namespace

std::string label_value(const std::string& name) { return name.size() <= kLabelSizeMax ? name : with_hash(name, name); }

std::vector<InfrastructureService> infrastructure_services(const std::vector<GatewayState>& gateways,
                                                           const model::Objects& objects)
{
    std::map<std::pair<std::string_view, std::string_view>, const model::Service*> known;
    for (const model::Service& service : objects.services)
        known.emplace(std::pair{std::string_view(service.meta.ns), std::string_view(service.meta.name)}, &service);
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
        std::ranges::sort(service.ports);
        service.annotations.insert_or_assign(kAppliedAnnotation, digest_of(service));
        if (const auto is = known.find({service.ns, service.name}); is != known.end())
            service.state = state_of(service, *is->second);
    }
    std::ranges::sort(services, [](const InfrastructureService& a, const InfrastructureService& b) {
        return std::tie(a.ns, a.name) < std::tie(b.ns, b.name);
    });
    return services;
}

}  // namespace sluice::plan
