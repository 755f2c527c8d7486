// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/tls.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "agent/plan/hostname.h"
#include "agent/plan/policies.h"

namespace sluice::plan {
namespace {

constexpr ReferenceReasons kCertificateReasons{"InvalidCertificateRef", "InvalidCertificateRef"};
constexpr ReferenceReasons kClientCaReasons{"InvalidCACertificateRef", "InvalidCACertificateKind"};
constexpr ReferenceReasons kBackendCertificateReasons{"InvalidClientCertificateRef", "InvalidClientCertificateRef"};

void add_certificates(ListenerState& listener, const Referrer& gateway, const Certificates& certificates,
                      const std::string& field, TlsTermination& termination)
{
    if (!listener.spec->tls || listener.spec->tls->certificate_refs.empty())
        return add_fault(listener.resolved, "InvalidCertificateRef", field + ".tls.certificateRefs",
                         "there is none; a reference to a Secret is needed");
    const std::vector<model::ObjectReference>& refs = listener.spec->tls->certificate_refs;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        auto certificate = certificates.certificate(gateway, refs[i], kCertificateReasons);
        if (!certificate)
            add_fault(listener.resolved, certificate.error().reason,
                      fmt::format("{}.tls.certificateRefs[{}]", field, i), certificate.error().message);
        else if (std::ranges::find(termination.certificates, certificate->name, &TlsCertificate::name) ==
                 termination.certificates.end())
            termination.certificates.push_back(std::move(*certificate));
    }
}

// Of the listeners of HTTPS only, as the API says.
void add_client_validation(const model::GatewayTls& tls, ListenerState& listener, const Referrer& gateway,
                           const Certificates& certificates, TlsTermination& termination)
{
    const auto of_port = tls.client_validation_of_port.find(listener.spec->port);
    const bool overridden = of_port != tls.client_validation_of_port.end();
    const std::optional<model::ClientValidation>& wanted = overridden ? of_port->second : tls.client_validation;
    if (!wanted)
        return;
    Verdict resolved;
    const std::string field =
        fmt::format("spec.tls.frontend.{}validation.caCertificateRefs",
                    overridden ? fmt::format("perPort[port={}].tls.", listener.spec->port) : "default.");
    termination.client_ca_pem = certificates.authorities(gateway, wanted->ca_refs, kClientCaReasons, field, resolved);
    const bool required = wanted->mode == model::ClientValidation::Mode::AllowValidOnly;
    termination.client_auth = required ? ClientAuth::Required : ClientAuth::Optional;
    if (termination.client_ca_pem.empty())
        listener.accepted = {"NoValidCACertificate", resolved.message};
    // The fault of a certificate is told first: without one nothing is served at all.
    if (!resolved.ok() && listener.resolved.ok())
        listener.resolved = std::move(resolved);
}

bool ends_tls(const ListenerState& listener)
{
    return listener.protocol == ListenerProtocol::Https ||
           (listener.protocol == ListenerProtocol::Tls && listener.spec->tls &&
            listener.spec->tls->mode == model::ListenerTls::Mode::Terminate);
}

// A route for one hostname of a listener.
struct Claim {
    const Attachment* attachment;
    const ServedHost* host;
};

// The route of each hostname: of several the one whose own hostname is more specific, then the older one.
std::map<std::string_view, Claim> claims_of(const ListenerState& listener)
{
    std::map<std::string_view, Claim> claims;
    for (const Attachment& attachment : listener.attachments) {
        for (const ServedHost& host : *attachment.hosts) {
            const auto [claim, is_new] = claims.try_emplace(host.hostname, Claim{&attachment, &host});
            if (!is_new && is_more_specific(host.route_hostname, claim->second.host->route_hostname) &&
                host.route_hostname != claim->second.host->route_hostname)
                claim->second = {&attachment, &host};
        }
    }
    return claims;
}

// The listeners of one port that are told apart by the client's server name: those of TLS and of HTTPS.
struct Group {
    std::vector<IpAddress> addresses;
    std::uint16_t port = 0;
    struct Member {
        const GatewayState* gateway;
        const ListenerState* listener;
    };
    std::vector<Member> members;
};

// Whether a more specific listener has all hosts of this name, and so keeps them from `listener`.
bool is_taken(const Group& group, const ListenerState& listener, std::string_view hostname)
{
    return std::ranges::any_of(group.members, [&](const Group::Member& other) {
        return other.listener != &listener && covers(other.listener->hostname, hostname) &&
               is_more_specific(other.listener->hostname, listener.hostname);
    });
}

void add_hosts(const Group& group, const Group::Member& member, std::vector<TlsHost>& hosts)
{
    const ListenerState& listener = *member.listener;
    BackendIdentity identity(*member.gateway);
    auto claims = claims_of(listener);
    // Hosts of the listener that no route has are refused there, and not left to a less specific listener.
    claims.try_emplace(listener.hostname, Claim{nullptr, nullptr});
    for (const auto& [hostname, claim] : claims) {
        if (is_taken(group, listener, hostname))
            continue;
        TlsHost& host = hosts.emplace_back();
        host.listener = listener.name;
        host.hostname = hostname;
        host.termination = listener.termination;
        if (claim.attachment == nullptr)
            continue;
        const RouteState& route = *claim.attachment->route;
        const RuleState& rule = route.rules.front();
        host.route = full_name(route.spec->meta);
        host.backends = identity.apply(listener.termination ? rule.backends_over_tls : rule.backends);
    }
}

}  // namespace

void resolve_certificates(GatewayState& gateway, const Certificates& certificates)
{
    const Referrer referrer{model::Gateway::kKind, gateway.spec->meta.ns};
    const model::GatewayTls& tls = gateway.spec->tls;
    for (std::size_t i = 0; i < gateway.listeners.size(); ++i) {
        ListenerState& listener = gateway.listeners[i];
        if (!listener.accepted.ok() || !ends_tls(listener))
            continue;
        TlsTermination termination;
        add_certificates(listener, referrer, certificates, fmt::format("spec.listeners[{}]", i), termination);
        if (listener.protocol == ListenerProtocol::Https)
            add_client_validation(tls, listener, referrer, certificates, termination);
        listener.usable = !termination.certificates.empty();
        listener.termination = std::make_shared<const TlsTermination>(std::move(termination));
    }
    if (!tls.backend_certificate_ref)
        return;
    auto certificate = certificates.certificate(referrer, *tls.backend_certificate_ref, kBackendCertificateReasons);
    if (certificate)
        gateway.backend_certificate = std::move(*certificate);
    else
        add_fault(gateway.resolved, certificate.error().reason, "spec.tls.backend.clientCertificateRef",
                  certificate.error().message);
}

void build_tls_rule(RouteState& route, References& references)
{
    RuleState& rule = route.rules.emplace_back();
    const FieldPath rules("spec.rules", 0);
    for (std::size_t i = 0; i < route.l4->backend_refs.size(); ++i) {
        const model::BackendRef& ref = route.l4->backend_refs[i];
        const Backend backend = references.resolve(route, ref, "TCP", {rules, "backendRefs", i});
        if (backend.weight == 0)
            continue;
        rule.backends.push_back(backend);
        rule.backends_over_tls.push_back(references.with_policy(route, ref, backend));
    }
}

std::vector<TlsPort> build_tls_ports(const std::vector<GatewayState>& gateways)
{
    std::map<std::pair<std::uint16_t, std::vector<IpAddress>>, Group> groups;
    for (const GatewayState& gateway : gateways) {
        for (const ListenerState& listener : gateway.listeners) {
            if (!listener.served ||
                (listener.protocol != ListenerProtocol::Tls && listener.protocol != ListenerProtocol::Https))
                continue;
            Group& group = groups[{listener.spec->port, gateway.addresses}];
            group.addresses = gateway.addresses;
            group.port = listener.spec->port;
            group.members.push_back({&gateway, &listener});
        }
    }
    std::vector<TlsPort> ports;
    for (const auto& [key, group] : groups) {
        TlsPort port{group.addresses, group.port, {}};
        for (const Group::Member& member : group.members)
            if (member.listener->protocol == ListenerProtocol::Tls)
                add_hosts(group, member, port.hosts);
        if (port.hosts.empty())
            continue;
        std::ranges::sort(port.hosts, is_more_specific, &TlsHost::hostname);
        ports.push_back(std::move(port));
    }
    return ports;
}

}  // namespace sluice::plan
