// SPDX-License-Identifier: Apache-2.0
// Decoders of metadata, Namespace, Service, EndpointSlice and ReferenceGrant.
#include <algorithm>
#include <limits>
#include <set>

#include "agent/source/kinds.h"
#include "agent/source/validate.h"

namespace sluice::source {
namespace {

constexpr const char* kNameLabel = "kubernetes.io/metadata.name";
constexpr const char* kServiceLabel = "kubernetes.io/service-name";

std::string protocol(const Value& value)
{
    return value.one_of<std::string>({{"TCP", "TCP"}, {"UDP", "UDP"}, {"SCTP", "SCTP"}}, "TCP");
}

model::ServicePort decode_service_port(const Value& value)
{
    Fields f(value);
    model::ServicePort port;
    port.name = f["name"].string(dns_label);
    port.protocol = protocol(f["protocol"]);
    port.port = f["port"].required().port().value_or(0);
    port.app_protocol = f["appProtocol"].string();
    f.ignore({"targetPort", "nodePort"});
    return port;
}

// Of its addresses the first: the API gives the others no meaning, and kube-proxy does not look at them.
model::Endpoint decode_endpoint(const Value& value, const std::string& address_type)
{
    Fields f(value);
    model::Endpoint endpoint;
    for (const Value& item : f["addresses"].required().list(1, 100)) {
        if (address_type == "FQDN") {
            static_cast<void>(item.string(dns_subdomain));
            continue;
        }
        const auto text = item.required().optional_string(endpoint_address);
        if (!text)
            continue;
        const IpAddress address = *IpAddress::parse(*text);
        if (address.is_v4() != (address_type == "IPv4"))
            item.refuse("not of the slice's addressType, " + address_type);
        if (endpoint.addresses.empty())
            endpoint.addresses.push_back(address);
    }
    Fields conditions(f["conditions"]);
    endpoint.ready = conditions["ready"].boolean().value_or(true);
    endpoint.serving = conditions["serving"].boolean().value_or(endpoint.ready);
    endpoint.terminating = conditions["terminating"].boolean().value_or(false);
    endpoint.node_name = f["nodeName"].string(dns_subdomain);
    f.ignore({"hostname", "targetRef", "deprecatedTopology", "zone", "hints"});
    return endpoint;
}

// None for a port without a number, which means "every port" and names nothing that could be forwarded to.
std::optional<model::EndpointPort> decode_endpoint_port(const Value& value)
{
    Fields f(value);
    model::EndpointPort port;
    port.name = f["name"].string();
    port.protocol = protocol(f["protocol"]);
    const auto number = f["port"].port();
    f.ignore({"appProtocol"});
    if (!number)
        return std::nullopt;
    port.port = *number;
    return port;
}

}  // namespace

model::ObjectMeta decode_meta(const Value& value, const Kind& kind)
{
    Fields f(value.required());
    model::ObjectMeta meta;
    const Check check = kind.name_is_label ? dns_label : dns_subdomain;
    meta.name = f["name"].required().string(check);
    const std::string ns = f["namespace"].string_or("default", dns_label);
    if (!kind.cluster_scoped)
        meta.ns = ns;
    meta.creation_timestamp = f["creationTimestamp"].string(timestamp);
    meta.labels = f["labels"].string_map();
    meta.annotations = f["annotations"].string_map();
    // As the API server counts; who reads files counts for itself.
    meta.generation = f["generation"].integer(0, std::numeric_limits<std::int64_t>::max()).value_or(1);
    meta.uid = f["uid"].string();
    f.ignore({"generateName", "resourceVersion", "managedFields", "ownerReferences", "finalizers", "selfLink",
              "deletionTimestamp", "deletionGracePeriodSeconds"});
    return meta;
}

AnyObject decode_namespace(Fields& root, model::ObjectMeta meta)
{
    root.ignore({"spec"});
    model::Namespace object{std::move(meta)};
    object.meta.labels[kNameLabel] = object.meta.name;
    return object;
}

AnyObject decode_service(Fields& root, model::ObjectMeta meta)
{
    model::Service object;
    object.meta = std::move(meta);
    Fields spec(root["spec"].required());
    object.type = spec["type"].one_of<std::string>({{"ClusterIP", "ClusterIP"},
                                                    {"NodePort", "NodePort"},
                                                    {"LoadBalancer", "LoadBalancer"},
                                                    {"ExternalName", "ExternalName"}},
                                                   "ClusterIP");
    const auto ports = spec["ports"].list(0, 1000);
    std::set<std::string> names;
    for (const Value& value : ports) {
        object.ports.push_back(decode_service_port(value));
        const std::string& name = object.ports.back().name;
        if (ports.size() > 1 && name.empty())
            value.refuse("a Service of several ports needs a name on each");
        else if (!names.insert(name).second)
            value.refuse("a second port named " + printable(name));
    }
    spec.ignore({"selector", "clusterIP", "clusterIPs", "externalIPs", "sessionAffinity", "loadBalancerIP",
                 "loadBalancerSourceRanges", "externalName", "externalTrafficPolicy", "healthCheckNodePort",
                 "publishNotReadyAddresses", "sessionAffinityConfig", "ipFamilies", "ipFamilyPolicy",
                 "allocateLoadBalancerNodePorts", "loadBalancerClass", "internalTrafficPolicy", "trafficDistribution"});
    return object;
}

AnyObject decode_endpoint_slice(Fields& root, model::ObjectMeta meta)
{
    model::EndpointSlice object;
    object.meta = std::move(meta);
    if (const auto label = object.meta.labels.find(kServiceLabel); label != object.meta.labels.end())
        object.service_name = label->second;
    object.address_type =
        root["addressType"].required().one_of<std::string>({{"IPv4", "IPv4"}, {"IPv6", "IPv6"}, {"FQDN", "FQDN"}}, "");
    for (const Value& value : root["ports"].list(0, 20'000)) {
        if (auto port = decode_endpoint_port(value))
            object.ports.push_back(std::move(*port));
    }
    const auto endpoints = root["endpoints"].list(0, 1000);
    if (!object.address_type.empty()) {
        for (const Value& value : endpoints)
            object.endpoints.push_back(decode_endpoint(value, object.address_type));
    }
    return object;
}

AnyObject decode_reference_grant(Fields& root, model::ObjectMeta meta)
{
    model::ReferenceGrant object;
    object.meta = std::move(meta);
    Fields spec(root["spec"].required());
    for (const Value& value : spec["from"].required().list(1, 16)) {
        Fields f(value);
        object.from.push_back({f["group"].required().string(group_name), f["kind"].required().string(kind_name),
                               f["namespace"].required().string(dns_label)});
    }
    for (const Value& value : spec["to"].required().list(1, 16)) {
        Fields f(value);
        object.to.push_back({f["group"].required().string(group_name), f["kind"].required().string(kind_name),
                             f["name"].optional_string(object_name)});
    }
    return object;
}

}  // namespace sluice::source
