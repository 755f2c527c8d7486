// SPDX-License-Identifier: Apache-2.0
// The core kinds that Gateways and routes lean on: Namespace, Service, EndpointSlice, Secret, ConfigMap, and
// ReferenceGrant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/model/meta.h"
#include "base/ip_address.h"

namespace sluice::model {

struct Namespace {
    static constexpr const char* kKind = "Namespace";
    ObjectMeta meta;  // the label kubernetes.io/metadata.name is always present: the decoder adds it
};

struct ServicePort {
    std::string name;
    std::string protocol = "TCP";
    std::uint16_t port = 0;
    std::string app_protocol;
};

struct Service {
    static constexpr const char* kKind = "Service";
    ObjectMeta meta;
    std::string type = "ClusterIP";
    std::vector<ServicePort> ports;
};

struct EndpointPort {
    std::string name;  // equals the Service port's name; "" with one unnamed port
    std::string protocol = "TCP";
    std::uint16_t port = 0;
};

struct Endpoint {
    std::vector<IpAddress> addresses;
    bool ready = true;  // conditions.ready, none counts as true
    bool serving = true;
    bool terminating = false;
    std::string node_name;
};

struct EndpointSlice {
    static constexpr const char* kKind = "EndpointSlice";
    ObjectMeta meta;
    std::string service_name;  // label kubernetes.io/service-name
    std::string address_type;  // IPv4, IPv6 or FQDN (ignored)
    std::vector<EndpointPort> ports;
    std::vector<Endpoint> endpoints;
};

// What of a Secret is used: a certificate chain and its key, in PEM as far as anyone knows. Never printed.
struct Secret {
    static constexpr const char* kKind = "Secret";
    ObjectMeta meta;                     // without annotations: kubectl keeps a copy of the data there
    std::optional<std::string> tls_crt;  // both present in a Secret of type kubernetes.io/tls
    std::optional<std::string> tls_key;
};

struct ConfigMap {
    static constexpr const char* kKind = "ConfigMap";
    ObjectMeta meta;
    std::optional<std::string> ca_crt;
};

struct ReferenceGrant {
    static constexpr const char* kKind = "ReferenceGrant";
    struct From {
        std::string group;
        std::string kind;
        std::string ns;
    };
    struct To {
        std::string group;
        std::string kind;
        std::optional<std::string> name;  // none: every object of the kind
    };
    ObjectMeta meta;
    std::vector<From> from;
    std::vector<To> to;
};

}  // namespace sluice::model
