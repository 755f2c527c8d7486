// SPDX-License-Identifier: Apache-2.0
// GatewayClass and Gateway (gateway.networking.k8s.io/v1, v1beta1) as plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/model/meta.h"
#include "base/ip_address.h"

namespace sluice::model {

struct ParametersReference {
    std::string group;
    std::string kind;
    std::string name;
    std::optional<std::string> ns;
};

struct GatewayClass {
    static constexpr const char* kKind = "GatewayClass";
    ObjectMeta meta;
    std::string controller_name;
    std::optional<ParametersReference> parameters_ref;
};

struct RouteGroupKind {
    std::string group = kGatewayGroup;
    std::string kind;
    bool operator==(const RouteGroupKind&) const = default;
};

struct AllowedRoutes {
    enum class From { Same, All, Selector, None };
    From from = From::Same;
    LabelSelector selector;             // with From::Selector
    std::vector<RouteGroupKind> kinds;  // empty: those of the protocol
};

struct ListenerTls {
    enum class Mode { Terminate, Passthrough };
    Mode mode = Mode::Terminate;
    std::vector<ObjectReference> certificate_refs;
};

struct Listener {
    std::string name;
    std::string hostname;  // empty: every host; may begin with "*."
    std::uint16_t port = 0;
    std::string protocol;  // as written: HTTP, HTTPS, TLS, TCP, UDP or a domain-prefixed one
    AllowedRoutes allowed_routes;
    std::optional<ListenerTls> tls;
};

struct GatewayAddress {
    std::string type = "IPAddress";
    std::string value;  // may be empty: "assign one"
    bool operator==(const GatewayAddress&) const = default;
};

// Whether and how clients of HTTPS listeners show a certificate (spec.tls.frontend, TLSConfig.validation).
struct ClientValidation {
    enum class Mode { AllowValidOnly, AllowInsecureFallback };
    Mode mode = Mode::AllowValidOnly;
    std::vector<ObjectReference> ca_refs;  // never empty
};

struct GatewayTls {
    std::optional<ClientValidation> client_validation;  // frontend.default
    // frontend.perPort, in place of the default; none for a port: its clients show no certificate.
    std::map<std::uint16_t, std::optional<ClientValidation>> client_validation_of_port;
    std::optional<ObjectReference> backend_certificate_ref;  // backend.clientCertificateRef
};

struct Gateway {
    static constexpr const char* kKind = "Gateway";
    ObjectMeta meta;
    std::string gateway_class_name;
    std::vector<Listener> listeners;
    std::vector<GatewayAddress> addresses;
    GatewayTls tls;
    bool has_parameters_ref = false;    // spec.infrastructure.parametersRef
    Labels infrastructure_labels;       // spec.infrastructure: for what is made on behalf of the Gateway
    Labels infrastructure_annotations;  // the same
    // The addresses of status.addresses as they were last written. Means something only when read from a cluster.
    std::vector<IpAddress> status_addresses;
};

}  // namespace sluice::model
