// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/references.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::plan {
namespace {

constexpr std::size_t kResolvedMessageMax = 1024;

// No part can hold a newline once decoded as an API name; a name is absent where the grant covers all of a kind.
std::string grant_key(std::string_view from_kind, std::string_view from_ns, std::string_view to_ns,
                      const std::string* to_name)
{
    return fmt::format("{}\n{}\n{}\n{}", from_kind, from_ns, to_ns, to_name != nullptr ? "=" + *to_name : "*");
}

bool is_servable(const IpAddress& address) { return !address.is_any() && !address.is_multicast(); }

// The addresses of one slice's endpoints that `use` picks, on the port of this name and protocol.
template <class Use>
void collect(const model::EndpointSlice& slice, const model::ServicePort& port, Use use,
             std::vector<SocketAddress>& out)
{
    for (const model::EndpointPort& target : slice.ports) {
        if (target.name != port.name || target.protocol != port.protocol || target.port == 0)
            continue;
        for (const model::Endpoint& endpoint : slice.endpoints)
            if (use(endpoint))
                for (const IpAddress& address : endpoint.addresses)
                    if (is_servable(address))
                        out.push_back({address, target.port});
    }
}

}  // namespace

References::References(const model::Objects& objects)
{
    for (const model::Service& service : objects.services)
        services_.emplace(NameView{service.meta.ns, service.meta.name}, &service);
    for (const model::EndpointSlice& slice : objects.endpoint_slices)
        if (slice.address_type != "FQDN")
            slices_[NameView{slice.meta.ns, slice.service_name}].push_back(&slice);
    for (const model::ReferenceGrant& grant : objects.reference_grants)
        for (const model::ReferenceGrant::From& from : grant.from)
            for (const model::ReferenceGrant::To& to : grant.to)
                if (from.group == model::kGatewayGroup && to.group.empty() && to.kind == model::Service::kKind)
                    grants_.insert(grant_key(from.kind, from.ns, grant.meta.ns, to.name ? &*to.name : nullptr));
}

bool References::is_granted(std::string_view route_kind, std::string_view route_ns, std::string_view ns,
                            const std::string& name) const
{
    return grants_.contains(grant_key(route_kind, route_ns, ns, nullptr)) ||
           grants_.contains(grant_key(route_kind, route_ns, ns, &name));
}

Verdict References::find_port(const RouteState& route, const model::BackendRef& ref, std::string_view protocol,
                              const model::Service*& service, const model::ServicePort*& port) const
{
    if (!ref.group.empty() || ref.kind != model::Service::kKind)
        return {"InvalidKind",
                fmt::format("{}/{} \"{}\" is not supported; a core Service is", ref.group, ref.kind, ref.name)};
    const std::string& route_ns = route.spec->meta.ns;
    const std::string& ns = ref.ns ? *ref.ns : route_ns;
    // Before existence: without a grant nothing is told about another namespace.
    if (ns != route_ns && !is_granted(route.kind, route_ns, ns, ref.name))
        return {"RefNotPermitted", fmt::format("no ReferenceGrant in namespace \"{}\" lets a {} of namespace \"{}\" "
                                               "refer to Service \"{}\"",
                                               ns, route.kind, route_ns, ref.name)};
    if (!ref.port)
        return {"UnsupportedValue", "port is not set; a Service needs one"};
    const auto found = services_.find(NameView{ns, ref.name});
    if (found == services_.end())
        return {"BackendNotFound", fmt::format("Service {}/{} does not exist", ns, ref.name)};
    if (found->second->type == "ExternalName")
        return {"UnsupportedValue", fmt::format("Service {}/{} has type ExternalName, which has no endpoints; "
                                                "ClusterIP, NodePort and LoadBalancer are accepted",
                                                ns, ref.name)};
    const auto match = std::ranges::find_if(found->second->ports, [&](const model::ServicePort& one) {
        return one.port == *ref.port && one.protocol == protocol;
    });
    if (match == found->second->ports.end())
        return {"BackendNotFound", fmt::format("Service {}/{} has no {} port {}", ns, ref.name, protocol, *ref.port)};
    if (route.http != nullptr &&
        (match->app_protocol == "kubernetes.io/h2c" || match->app_protocol == "kubernetes.io/wss"))
        return {"UnsupportedProtocol", fmt::format("Service {}/{} port {} has appProtocol {}, which is not supported; "
                                                   "HTTP/1.1 is spoken to backends",
                                                   ns, ref.name, *ref.port, match->app_protocol)};
    service = found->second;
    port = &*match;
    return {};
}

// The ready ones; with none of them, those that still serve while they end (as kube-proxy does).
const std::vector<SocketAddress>& References::endpoints(const model::Service& service, const model::ServicePort& port)
{
    const auto [entry, is_new] = endpoints_.try_emplace(&port);
    std::vector<SocketAddress>& result = entry->second;
    const auto slices = slices_.find(NameView{service.meta.ns, service.meta.name});
    if (!is_new || slices == slices_.end())
        return result;
    for (const model::EndpointSlice* slice : slices->second)
        collect(*slice, port, [](const model::Endpoint& one) { return one.ready; }, result);
    if (result.empty())
        for (const model::EndpointSlice* slice : slices->second)
            collect(*slice, port, [](const model::Endpoint& one) { return one.serving && one.terminating; }, result);
    std::ranges::sort(result);
    const auto repeated = std::ranges::unique(result);
    result.erase(repeated.begin(), repeated.end());
    return result;
}

Backend References::resolve(const RouteState& route, const model::BackendRef& ref, std::string_view protocol,
                            std::string_view field, Verdict& resolved)
{
    Backend backend;
    backend.name = fmt::format("{}/{}:{}", ref.ns ? *ref.ns : route.spec->meta.ns, ref.name, ref.port.value_or(0));
    backend.weight = ref.weight;
    const model::Service* service = nullptr;
    const model::ServicePort* port = nullptr;
    const Verdict verdict = find_port(route, ref, protocol, service, port);
    if (verdict.ok()) {
        backend.endpoints = endpoints(*service, *port);
        return backend;
    }
    backend.valid = false;
    backend.invalid_reason = verdict.reason;
    if (resolved.ok())
        resolved.reason = verdict.reason;
    if (resolved.message.size() < kResolvedMessageMax)
        resolved.message += fmt::format("{}{}: {}", resolved.message.empty() ? "" : "; ", field, verdict.message);
    return backend;
}

}  // namespace sluice::plan
