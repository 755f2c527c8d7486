// SPDX-License-Identifier: Apache-2.0
// Small builders of model values, defaults applied as the decoder does, and look-ups in a Plan. A World starts with
// our GatewayClass "sluice" and one node address, 192.0.2.1.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "agent/model/objects.h"
#include "agent/plan/plan.h"

namespace sluice::plan::test {

inline IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

inline model::ObjectMeta meta(const std::string& name, const std::string& ns = "default")
{
    model::ObjectMeta result;
    result.ns = ns;
    result.name = name;
    result.generation = 7;
    return result;
}

inline model::Listener listener(const std::string& name, const std::string& protocol, std::uint16_t port,
                                const std::string& hostname = "")
{
    model::Listener result;
    result.name = name;
    result.protocol = protocol;
    result.port = port;
    result.hostname = hostname;
    return result;
}

inline model::Gateway gateway(const std::string& name, std::vector<model::Listener> listeners,
                              std::vector<std::string> addresses = {}, const std::string& created = "")
{
    model::Gateway result;
    result.meta = meta(name);
    result.meta.creation_timestamp = created;
    result.gateway_class_name = "sluice";
    result.listeners = std::move(listeners);
    for (const std::string& address : addresses)
        result.addresses.push_back({"IPAddress", address});
    return result;
}

inline model::ParentReference parent(const std::string& name, const char* section = nullptr, std::uint16_t port = 0)
{
    model::ParentReference result;
    result.name = name;
    if (section != nullptr)
        result.section_name = section;
    if (port != 0)
        result.port = port;
    return result;
}

inline model::BackendRef backend(const std::string& name, std::uint16_t port = 80, std::uint32_t weight = 1)
{
    model::BackendRef result;
    result.name = name;
    result.port = port;
    result.weight = weight;
    return result;
}

inline model::HttpMatch match(model::PathMatchType type, const std::string& value)
{
    model::HttpMatch result;
    result.path = {type, value};
    return result;
}

inline model::HttpRouteRule rule(std::vector<model::BackendRef> backends, std::vector<model::HttpMatch> matches = {{}})
{
    model::HttpRouteRule result;
    result.backend_refs = std::move(backends);
    result.matches = std::move(matches);
    return result;
}

inline model::HttpRoute http_route(const std::string& name,
                                   std::vector<model::ParentReference> parents = {parent("gw")},
                                   std::vector<std::string> hostnames = {},
                                   std::vector<model::HttpRouteRule> rules = {rule({backend("web")})})
{
    model::HttpRoute result;
    result.meta = meta(name);
    result.parent_refs = std::move(parents);
    result.hostnames = std::move(hostnames);
    result.rules = std::move(rules);
    return result;
}

template <class Route>
Route l4_route(const std::string& name, std::vector<model::ParentReference> parents = {parent("gw")},
               std::vector<model::BackendRef> backends = {backend("web")}, const std::string& created = "")
{
    Route result;
    result.meta = meta(name);
    result.meta.creation_timestamp = created;
    result.parent_refs = std::move(parents);
    result.backend_refs = std::move(backends);
    return result;
}

inline model::Service service(const std::string& name, const std::string& ns = "default")
{
    model::Service result;
    result.meta = meta(name, ns);
    result.ports = {{"http", "TCP", 80, ""}, {"dns", "UDP", 53, ""}};
    return result;
}

inline model::EndpointSlice slice(const std::string& service_name, std::vector<model::Endpoint> endpoints,
                                  const std::string& ns = "default")
{
    model::EndpointSlice result;
    result.meta = meta(service_name + "-1", ns);
    result.service_name = service_name;
    result.address_type = "IPv4";
    result.ports = {{"http", "TCP", 8080}, {"dns", "UDP", 5353}};
    result.endpoints = std::move(endpoints);
    return result;
}

inline model::Endpoint endpoint(const char* address, bool ready = true, bool serving = true, bool terminating = false)
{
    return {{ip(address)}, ready, serving, terminating, ""};
}

inline model::ReferenceGrant grant(const std::string& ns, const std::string& from_kind, const std::string& from_ns,
                                   std::optional<std::string> to_name = {})
{
    model::ReferenceGrant result;
    result.meta = meta("grant", ns);
    result.from = {{model::kGatewayGroup, from_kind, from_ns}};
    result.to = {{"", "Service", std::move(to_name)}};
    return result;
}

// PEM by its frame alone: the planner looks no further.
inline std::string pem(const std::string& label, const std::string& body = "TUlJQg==")
{
    return "-----BEGIN " + label + "-----\n" + body + "\n-----END " + label + "-----\n";
}

// One of this many bytes; text around its block is no fault.
inline std::string pem_of_size(const std::string& label, std::size_t size)
{
    std::string text = pem(label);
    text.resize(size, '\n');
    return text;
}

// Where a text is held: those who share it have it at one place.
inline const std::string* place_of(const SharedText& text)
{
    const std::string& held = text;
    return &held;
}

inline model::Secret secret(const std::string& name, const std::string& ns = "default")
{
    model::Secret result;
    result.meta = meta(name, ns);
    result.tls_crt = pem("CERTIFICATE");
    result.tls_key = pem("PRIVATE KEY");
    return result;
}

inline model::ConfigMap config_map(const std::string& name, const std::string& ns = "default",
                                   std::optional<std::string> ca = pem("CERTIFICATE"))
{
    model::ConfigMap result;
    result.meta = meta(name, ns);
    result.ca_crt = std::move(ca);
    return result;
}

inline model::ObjectReference object_ref(const std::string& kind, const std::string& name, const char* ns = nullptr)
{
    model::ObjectReference result;
    result.kind = kind;
    result.name = name;
    if (ns != nullptr)
        result.ns = ns;
    return result;
}

// Of protocol HTTPS or TLS, with the certificate in Secret "cert".
inline model::Listener tls_listener(const std::string& name, const std::string& protocol, std::uint16_t port,
                                    const std::string& hostname = "")
{
    model::Listener result = listener(name, protocol, port, hostname);
    result.tls = model::ListenerTls{model::ListenerTls::Mode::Terminate, {object_ref("Secret", "cert")}};
    return result;
}

inline model::Listener passthrough_listener(const std::string& name, std::uint16_t port,
                                            const std::string& hostname = "")
{
    model::Listener result = listener(name, "TLS", port, hostname);
    result.tls = model::ListenerTls{model::ListenerTls::Mode::Passthrough, {}};
    return result;
}

inline model::TlsRoute tls_route(const std::string& name, std::vector<std::string> hostnames,
                                 std::vector<model::BackendRef> backends = {backend("web")},
                                 const std::string& created = "")
{
    auto result = l4_route<model::TlsRoute>(name, {parent("gw")}, std::move(backends), created);
    result.hostnames = std::move(hostnames);
    return result;
}

inline model::GrpcMatch grpc_match(const std::string& service_name, const std::string& method,
                                   model::ValueMatchType type = model::ValueMatchType::Exact)
{
    model::GrpcMatch result;
    result.method = {type, service_name, method};
    return result;
}

inline model::GrpcRoute grpc_route(const std::string& name, std::vector<std::string> hostnames = {},
                                   std::vector<model::GrpcMatch> matches = {{}}, const std::string& created = "")
{
    model::GrpcRoute result;
    result.meta = meta(name);
    result.meta.creation_timestamp = created;
    result.parent_refs = {parent("gw")};
    result.hostnames = std::move(hostnames);
    result.rules.emplace_back();
    result.rules[0].matches = std::move(matches);
    result.rules[0].backend_refs = {backend("web")};
    return result;
}

// For the whole Service, trusting ConfigMap "ca".
inline model::BackendTlsPolicy tls_policy(const std::string& name, const std::string& service_name,
                                          const std::string& created = "")
{
    model::BackendTlsPolicy result;
    result.meta = meta(name);
    result.meta.creation_timestamp = created;
    result.targets = {{"", "Service", service_name, {}}};
    result.ca_refs = {object_ref("ConfigMap", "ca")};
    result.hostname = "backend.example.com";
    return result;
}

// "192.0.2.1-192.0.2.9", or one address.
inline model::AddressRange range(const std::string& text)
{
    const auto dash = text.find('-');
    const std::string last = dash == std::string::npos ? text : text.substr(dash + 1);
    return {ip(text.substr(0, dash).c_str()), ip(last.c_str())};
}

// NodeGatewayConfig "pools" with one pool of the ranges.
inline model::NodeGatewayConfig config(const std::vector<std::string>& ranges)
{
    model::NodeGatewayConfig result;
    result.meta = meta("pools", "");
    result.pools.push_back({"main", {}});
    for (const std::string& each : ranges)
        result.pools[0].ranges.push_back(range(each));
    return result;
}

inline model::Node node(const std::string& name, std::vector<std::string> addresses, model::Labels labels = {})
{
    model::Node result;
    result.meta = meta(name, "");
    result.meta.labels = std::move(labels);
    for (const std::string& address : addresses)
        result.addresses.push_back(ip(address.c_str()));
    return result;
}

struct World {
    model::Objects objects;
    NodeFacts facts;

    World()
    {
        model::GatewayClass ours;
        ours.meta = meta("sluice", "");
        ours.controller_name = facts.controller_name;
        objects.gateway_classes.push_back(ours);
        facts.addresses = {ip("192.0.2.1")};
    }
    World& add(model::GatewayClass one) { return push(objects.gateway_classes, std::move(one)); }
    World& add(model::Gateway one) { return push(objects.gateways, std::move(one)); }
    World& add(model::HttpRoute one) { return push(objects.http_routes, std::move(one)); }
    World& add(model::GrpcRoute one) { return push(objects.grpc_routes, std::move(one)); }
    World& add(model::TlsRoute one) { return push(objects.tls_routes, std::move(one)); }
    World& add(model::TcpRoute one) { return push(objects.tcp_routes, std::move(one)); }
    World& add(model::UdpRoute one) { return push(objects.udp_routes, std::move(one)); }
    World& add(model::Service one) { return push(objects.services, std::move(one)); }
    World& add(model::EndpointSlice one) { return push(objects.endpoint_slices, std::move(one)); }
    World& add(model::ReferenceGrant one) { return push(objects.reference_grants, std::move(one)); }
    World& add(model::BackendTlsPolicy one) { return push(objects.backend_tls_policies, std::move(one)); }
    World& add(model::Secret one) { return push(objects.secrets, std::move(one)); }
    World& add(model::ConfigMap one) { return push(objects.config_maps, std::move(one)); }
    World& add(model::Namespace one) { return push(objects.namespaces, std::move(one)); }
    World& add(model::NodeGatewayConfig one) { return push(objects.node_gateway_configs, std::move(one)); }
    World& add(model::Node one) { return push(objects.nodes, std::move(one)); }
    [[nodiscard]] Plan plan() const { return make_plan(objects, facts); }

private:
    template <class T> World& push(model::SharedList<T>& list, T one)
    {
        const auto place = std::ranges::find_if(list, [&](const T& other) {
            return std::tie(one.meta.ns, one.meta.name) < std::tie(other.meta.ns, other.meta.name);
        });
        list.insert(place, std::move(one));
        return *this;
    }
};

// The status of an object by kind and name; null when it has none.
inline const model::ObjectStatus* find_status(const Plan& plan, const std::string& kind, const std::string& name)
{
    const auto found = std::ranges::find_if(
        plan.statuses, [&](const auto& one) { return one->key.kind == kind && one->key.name == name; });
    return found == plan.statuses.end() ? nullptr : found->get();
}

// "True/Reason", "False/Reason" or "none".
inline std::string outcome(const std::vector<model::Condition>& conditions, const std::string& type)
{
    const auto found = std::ranges::find(conditions, type, &model::Condition::type);
    if (found == conditions.end())
        return "none";
    return (found->status ? "True/" : "False/") + found->reason;
}

inline std::string message(const std::vector<model::Condition>& conditions, const std::string& type)
{
    const auto found = std::ranges::find(conditions, type, &model::Condition::type);
    return found == conditions.end() ? "" : found->message;
}

inline std::string gateway_outcome(const Plan& plan, const std::string& name, const std::string& type)
{
    const auto* status = find_status(plan, "Gateway", name);
    return status == nullptr ? "none" : outcome(status->conditions, type);
}

inline const model::ListenerStatus& listener_of(const Plan& plan, const std::string& gateway_name,
                                                const std::string& name)
{
    static const model::ListenerStatus kNone;
    const auto* status = find_status(plan, "Gateway", gateway_name);
    if (status == nullptr)
        return kNone;
    const auto found = std::ranges::find(status->listeners, name, &model::ListenerStatus::name);
    return found == status->listeners.end() ? kNone : *found;
}

inline std::string listener_outcome(const Plan& plan, const std::string& gateway_name, const std::string& name,
                                    const std::string& type)
{
    return outcome(listener_of(plan, gateway_name, name).conditions, type);
}

inline std::string route_outcome(const Plan& plan, const std::string& kind, const std::string& name,
                                 const std::string& type, std::size_t parent_index = 0)
{
    const auto* status = find_status(plan, kind, name);
    if (status == nullptr || status->parents.size() <= parent_index)
        return "none";
    return outcome(status->parents[parent_index].conditions, type);
}

inline std::string route_message(const Plan& plan, const std::string& kind, const std::string& name,
                                 const std::string& type)
{
    const auto* status = find_status(plan, kind, name);
    return status == nullptr ? "" : message(status->parents.at(0).conditions, type);
}

// Of a BackendTLSPolicy through the Gateway "gw".
inline std::string policy_outcome(const Plan& plan, const std::string& name, const std::string& type)
{
    const auto* status = find_status(plan, "BackendTLSPolicy", name);
    if (status == nullptr || status->ancestors.size() != 1 || status->ancestors[0].ancestor.name != "gw")
        return "none";
    return outcome(status->ancestors[0].conditions, type);
}

}  // namespace sluice::plan::test
