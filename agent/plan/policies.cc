// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/policies.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/plan/status.h"

namespace sluice::plan {
namespace {

constexpr ReferenceReasons kReasons{"InvalidCACertificateRef", "InvalidKind"};

void evaluate(PolicyState& policy, const Certificates& certificates, const std::vector<Shared<BackendTls>>& known)
{
    const model::BackendTlsPolicy& spec = *policy.spec;
    BackendTls tls;
    tls.hostname = spec.hostname;
    tls.dns_sans = spec.dns_sans;
    tls.uri_sans = spec.uri_sans;
    if (spec.ca_refs.empty()) {
        tls.system_ca = spec.well_known_ca == "System";
        if (!tls.system_ca) {
            policy.accepted = {"Invalid", fmt::format("spec.validation.wellKnownCACertificates \"{}\" is not known; "
                                                      "System is",
                                                      spec.well_known_ca)};
            return;
        }
    } else {
        tls.ca_pem = certificates.authorities({model::BackendTlsPolicy::kKind, spec.meta.ns}, spec.ca_refs, kReasons,
                                              "spec.validation.caCertificateRefs", policy.resolved);
        if (tls.ca_pem.empty()) {
            policy.accepted = {"NoValidCACertificate", policy.resolved.message};
            return;
        }
    }
    const auto same = std::ranges::find_if(known, [&](const Shared<BackendTls>& one) { return *one == tls; });
    policy.tls = same != known.end() ? *same : Shared<BackendTls>(std::move(tls));
}

}  // namespace

Policies::Policies(const model::Objects& objects, const Certificates& certificates,
                   std::vector<Shared<BackendTls>>& known)
{
    const std::vector<Shared<BackendTls>> before = std::exchange(known, {});
    if (objects.backend_tls_policies.empty())
        return;
    std::unordered_map<NameView, const model::Service*, NameViewHash> services;
    for (const model::Service& service : objects.services)
        services.emplace(NameView{service.meta.ns, service.meta.name}, &service);
    for (const model::BackendTlsPolicy& spec : objects.backend_tls_policies)
        policies_.push_back({.spec = &spec, .accepted = {}, .resolved = {}, .tls = {}, .gateways = {}});
    std::ranges::sort(policies_,
                      [](const PolicyState& a, const PolicyState& b) { return is_older(a.spec->meta, b.spec->meta); });
    for (PolicyState& policy : policies_) {
        evaluate(policy, certificates, before);
        if (policy.tls)
            known.push_back(policy.tls);
        for (const model::PolicyTarget& target : policy.spec->targets) {
            if (!target.group.empty() || target.kind != model::Service::kKind)
                continue;
            const auto service = services.find(NameView{policy.spec->meta.ns, target.name});
            add_target(policy, target, service == services.end() ? nullptr : service->second);
        }
    }
}

void Policies::add_target(PolicyState& policy, const model::PolicyTarget& target, const model::Service* service)
{
    const std::string* port_name = target.section_name ? &*target.section_name : nullptr;
    std::vector<Target>& targets = targets_[NameView{policy.spec->meta.ns, target.name}];
    const auto older = std::ranges::find_if(targets, [&](const Target& one) {
        return port_name == nullptr ? one.port_name == nullptr
                                    : one.port_name != nullptr && *one.port_name == *port_name;
    });
    const std::string described =
        fmt::format("Service {}/{}{}{}", policy.spec->meta.ns, target.name, port_name == nullptr ? "" : " port ",
                    port_name == nullptr ? "" : *port_name);
    if (older != targets.end() && policy.accepted.ok())
        policy.accepted = {"Conflicted", fmt::format("the older BackendTLSPolicy {} has {} as its target already",
                                                     full_name(older->policy->spec->meta), described)};
    if (service != nullptr && port_name != nullptr && policy.accepted.ok() &&
        std::ranges::find(service->ports, *port_name, &model::ServicePort::name) == service->ports.end())
        policy.accepted = {"TargetNotFound", described + " does not exist"};
    targets.push_back({&policy, port_name});
}

const PolicyState* Policies::find(const model::Service& service, const model::ServicePort& port) const
{
    const auto found = targets_.find(NameView{service.meta.ns, service.meta.name});
    if (found == targets_.end())
        return nullptr;
    const PolicyState* whole = nullptr;
    for (const Target& target : found->second) {
        if (target.port_name != nullptr && *target.port_name == port.name)
            return target.policy;
        if (target.port_name == nullptr && whole == nullptr)
            whole = target.policy;
    }
    return whole;
}

bool Policies::has_target(const model::Service& service) const
{
    return targets_.contains(NameView{service.meta.ns, service.meta.name});
}

void Policies::add_gateway(const model::Service& service, const model::ParentReference& gateway)
{
    const auto found = targets_.find(NameView{service.meta.ns, service.meta.name});
    if (found == targets_.end())
        return;
    for (const Target& target : found->second)
        target.policy->gateways.emplace(gateway.ns.value_or(""), gateway.name);
}

void Policies::append_statuses(model::Statuses& statuses, std::vector<model::ObjectKey>& others) const
{
    constexpr std::size_t kAncestorsMax = 16;  // of the API
    for (const PolicyState& policy : policies_) {
        const model::ObjectMeta& meta = policy.spec->meta;
        if (policy.gateways.empty()) {
            others.push_back({model::BackendTlsPolicy::kKind, meta.ns, meta.name});
            continue;
        }
        model::ObjectStatus status;
        status.key = {model::BackendTlsPolicy::kKind, meta.ns, meta.name};
        for (const auto& [ns, name] : policy.gateways) {
            if (status.ancestors.size() == kAncestorsMax)
                break;
            model::ParentReference gateway;
            gateway.ns = ns;
            gateway.name = name;
            status.ancestors.push_back(
                {std::move(gateway),
                 {make_condition("Accepted", policy.accepted, "Accepted", meta.generation),
                  make_condition("ResolvedRefs", policy.resolved, "ResolvedRefs", meta.generation)}});
        }
        statuses.push_back(std::move(status));
    }
}

std::vector<Backend> BackendIdentity::apply(const std::vector<Backend>& backends)
{
    std::vector<Backend> result = backends;
    if (!gateway_.backend_certificate)
        return result;
    for (Backend& backend : result) {
        if (!backend.tls)
            continue;
        Shared<BackendTls>& with_certificate = known_[backend.tls.get()];
        if (!with_certificate) {
            BackendTls copy = *backend.tls;
            copy.client_certificate = gateway_.backend_certificate;
            with_certificate = std::make_shared<const BackendTls>(std::move(copy));
        }
        backend.tls = with_certificate;
    }
    return result;
}

Shared<HttpRule> BackendIdentity::apply(const Shared<HttpRule>& rule)
{
    const auto is_over_tls = [](const Backend& backend) { return static_cast<bool>(backend.tls); };
    if (!gateway_.backend_certificate || std::ranges::none_of(rule->backends, is_over_tls))
        return rule;
    HttpRule own = *rule;
    own.backends = apply(rule->backends);
    return own;
}

}  // namespace sluice::plan
