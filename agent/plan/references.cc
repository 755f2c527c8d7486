// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/references.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::plan {
namespace {

constexpr const char* kHttp2CleartextProtocol = "kubernetes.io/h2c";
constexpr const char* kWebSocketOverTlsProtocol = "kubernetes.io/wss";

bool is_servable(const IpAddress& address) { return !address.is_any() && !address.is_multicast(); }

}  // namespace

References::References(const model::Objects& objects, const NodeFacts& facts, const Grants& grants,
                       const Policies& policies)
    : grants_(grants), policies_(policies), from_cluster_(facts.cluster)
{
    if (facts.cluster) {
        node_addresses_ = facts.addresses;
        for (const model::Node& node : objects.nodes)
            node_addresses_.insert(node_addresses_.end(), node.addresses.begin(), node.addresses.end());
        std::ranges::sort(node_addresses_);
        for (const model::NodeGatewayConfig& config : objects.node_gateway_configs)
            for (const model::AddressPool& pool : config.pools)
                pool_ranges_.insert(pool_ranges_.end(), pool.ranges.begin(), pool.ranges.end());
    }
    for (const model::Service& service : objects.services)
        services_.emplace(NameView{service.meta.ns, service.meta.name}, &service);
    for (const model::EndpointSlice& slice : objects.endpoint_slices)
        if (slice.address_type != "FQDN")
            slices_[NameView{slice.meta.ns, slice.service_name}].push_back(&slice);
}

References::ServicePort References::find(const RouteState& route, const model::BackendRef& ref,
                                         std::string_view protocol) const
{
    const auto service = services_.find(NameView{ref.ns ? *ref.ns : route.spec->meta.ns, ref.name});
    if (service == services_.end())
        return {};
    const std::vector<model::ServicePort>& ports = service->second->ports;
    const auto port = std::ranges::find_if(ports, [&](const model::ServicePort& one) {
        return ref.port && one.port == *ref.port && one.protocol == protocol;
    });
    return {service->second, port == ports.end() ? nullptr : &*port};
}

Verdict References::check(const RouteState& route, const model::BackendRef& ref, std::string_view protocol,
                          const ServicePort& found) const
{
    if (!ref.group.empty() || ref.kind != model::Service::kKind)
        return {"InvalidKind",
                fmt::format("{}/{} \"{}\" is not supported; a core Service is", ref.group, ref.kind, ref.name)};
    const std::string& route_ns = route.spec->meta.ns;
    const std::string& ns = ref.ns ? *ref.ns : route_ns;
    // Before existence: without a grant nothing is told about another namespace.
    if (const Referrer from{route.kind, route_ns}; !grants_.allow(from, model::Service::kKind, ns, ref.name))
        return {"RefNotPermitted", not_granted(from, model::Service::kKind, ns, ref.name)};
    if (!ref.port)
        return {"UnsupportedValue", "port is not set; a Service needs one"};
    if (found.service == nullptr)
        return {"BackendNotFound", fmt::format("Service {}/{} does not exist", ns, ref.name)};
    if (found.service->type == "ExternalName")
        return {"UnsupportedValue", fmt::format("Service {}/{} has type ExternalName, which has no endpoints; "
                                                "ClusterIP, NodePort and LoadBalancer are accepted",
                                                ns, ref.name)};
    if (found.port == nullptr)
        return {"BackendNotFound", fmt::format("Service {}/{} has no {} port {}", ns, ref.name, protocol, *ref.port)};
    if (route.http != nullptr && found.port->app_protocol == kWebSocketOverTlsProtocol &&
        policies_.find(*found.service, *found.port) == nullptr)
        return {"UnsupportedProtocol", fmt::format("Service {}/{} port {} has appProtocol {}, which needs a "
                                                   "BackendTLSPolicy for it",
                                                   ns, ref.name, *ref.port, found.port->app_protocol)};
    return {};
}

// Who may write an EndpointSlice is not who may reach what listens on the nodes, or what their own loopback and link
// offer (CVE-2021-25740, the metadata service). From files both are the same person. A Gateway whose backend is a
// Gateway could be its own, and one connection go round until none is left.
bool References::is_refused(const IpAddress& address) const
{
    return from_cluster_ &&
           (address.is_loopback() || address.is_link_local() || std::ranges::binary_search(node_addresses_, address) ||
            std::ranges::any_of(pool_ranges_, [&](const auto& range) { return range.contains(address); }));
}

// The addresses of one slice's endpoints that `use` picks, on the port of this name and protocol.
template <class Use>
void References::collect(const model::EndpointSlice& slice, const model::ServicePort& port, Use use,
                         Endpoints& out) const
{
    for (const model::EndpointPort& target : slice.ports) {
        if (target.name != port.name || target.protocol != port.protocol || target.port == 0)
            continue;
        for (const model::Endpoint& endpoint : slice.endpoints) {
            if (!use(endpoint))
                continue;
            for (const IpAddress& address : endpoint.addresses) {
                if (is_refused(address))
                    out.refused = address;
                else if (is_servable(address))
                    out.addresses.push_back({address, target.port});
            }
        }
    }
}

// The ready ones; with none of them, those that still serve while they end (as kube-proxy does).
const References::Endpoints& References::endpoints(const model::Service& service, const model::ServicePort& port)
{
    const auto [entry, is_new] = endpoints_.try_emplace(&port);
    Endpoints& result = entry->second;
    const auto slices = slices_.find(NameView{service.meta.ns, service.meta.name});
    if (!is_new || slices == slices_.end())
        return result;
    for (const model::EndpointSlice* slice : slices->second)
        collect(*slice, port, [](const model::Endpoint& one) { return one.ready; }, result);
    if (result.addresses.empty())
        for (const model::EndpointSlice* slice : slices->second)
            collect(*slice, port, [](const model::Endpoint& one) { return one.serving && one.terminating; }, result);
    std::ranges::sort(result.addresses);
    const auto repeated = std::ranges::unique(result.addresses);
    result.addresses.erase(repeated.begin(), repeated.end());
    return result;
}

Backend References::resolve(RouteState& route, const model::BackendRef& ref, std::string_view protocol,
                            const FieldPath& field)
{
    Backend backend;
    backend.name = ref.ns ? *ref.ns : route.spec->meta.ns;
    backend.name.append("/").append(ref.name).append(":").append(std::to_string(ref.port.value_or(0)));
    backend.weight = ref.weight;
    const ServicePort found = find(route, ref, protocol);
    Verdict verdict = check(route, ref, protocol, found);
    if (verdict.ok()) {
        const Endpoints& resolved = endpoints(*found.service, *found.port);
        if (resolved.addresses.empty() && resolved.refused)
            verdict = {"UnsupportedValue",
                       fmt::format("Service {} has endpoints that are loopback, link-local, a node's own address or of "
                                   "a pool for Gateways, as {}; those of pods are accepted",
                                   full_name(found.service->meta), resolved.refused->to_string())};
        backend.endpoints = resolved.addresses;
    }
    if (verdict.ok()) {
        if (route.grpc != nullptr || (route.http != nullptr && found.port->app_protocol == kHttp2CleartextProtocol))
            backend.app_protocol = AppProtocol::Http2;
        return backend;
    }
    backend.valid = false;
    backend.invalid_reason = verdict.reason;
    add_fault(route.resolved, verdict.reason, field.to_string(), verdict.message);
    return backend;
}

Backend References::with_policy(RouteState& route, const model::BackendRef& ref, Backend backend) const
{
    if (policies_.empty())
        return backend;
    const ServicePort found = backend.valid ? find(route, ref, "TCP") : ServicePort{};
    if (found.service == nullptr || !policies_.has_target(*found.service))
        return backend;
    if (std::ranges::find(route.policy_targets, found.service) == route.policy_targets.end())
        route.policy_targets.push_back(found.service);
    const PolicyState* policy = policies_.find(*found.service, *found.port);
    if (policy == nullptr)
        return backend;
    backend.tls = policy->tls;
    if (!backend.tls) {
        backend.valid = false;
        backend.invalid_reason = policy->accepted.reason;
        backend.endpoints.clear();
    }
    return backend;
}

}  // namespace sluice::plan
