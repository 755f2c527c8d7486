// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/policies.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include "agent/plan/status.h"

namespace sluice::plan {
namespace {

constexpr ReferenceReasons kReasons{"InvalidCACertificateRef", "InvalidKind"};

constexpr std::size_t kAncestorsMax = 16;  // of the API

bool is_service(const model::PolicyTarget& target)
{
    return target.group.empty() && target.kind == model::Service::kKind;
}

// What a policy says; none where that is not usable.
std::optional<BackendTls> evaluate(PolicyState& policy, const Certificates& certificates)
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
            return std::nullopt;
        }
    } else {
        tls.ca_pem = certificates.authorities({model::BackendTlsPolicy::kKind, spec.meta.ns}, spec.ca_refs, kReasons,
                                              "spec.validation.caCertificateRefs", policy.resolved);
        if (tls.ca_pem.empty()) {
            policy.accepted = {"NoValidCACertificate", policy.resolved.message};
            return std::nullopt;
        }
    }
    return tls;
}

// What policies said in the last plan. CAs are large, and the policies that have them many: they are compared once, and
// what a new policy says shares them with what is known.
class LastPlan {
public:
    explicit LastPlan(Policies::Known known) : known_(std::move(known)) {}

    [[nodiscard]] Shared<BackendTls> value_of(const std::string& policy, BackendTls tls)
    {
        const SharedText ca_pem = tls.ca_pem;
        if (const auto last = authorities_.find(ca_pem); last != authorities_.end())
            tls.ca_pem = last->second;
        const auto known = known_.find(policy);
        if (known == known_.end() || *known->second != tls)
            return Shared<BackendTls>(std::move(tls));
        authorities_.emplace(ca_pem, known->second->ca_pem);
        return known->second;
    }

private:
    struct ByAddress {
        bool operator()(const std::string& a, const std::string& b) const
        {
            return std::less<const std::string*>()(&a, &b);
        }
    };
    Policies::Known known_;
    std::map<SharedText, SharedText, ByAddress> authorities_;  // the last plan's, by the equal ones of this
};

}  // namespace

Policies::Policies(const model::Objects& objects, const Certificates& certificates, Known& known)
{
    LastPlan last(std::exchange(known, {}));
    if (objects.backend_tls_policies.empty())
        return;
    std::unordered_map<NameView, const model::Service*, NameViewHash> services;
    for (const model::Service& service : objects.services)
        services.emplace(NameView{service.meta.ns, service.meta.name}, &service);
    for (const model::BackendTlsPolicy& spec : objects.backend_tls_policies)
        policies_.push_back({.spec = &spec, .accepted = {}, .resolved = {}, .tls = {}});
    std::ranges::sort(policies_,
                      [](const PolicyState& a, const PolicyState& b) { return is_older(a.spec->meta, b.spec->meta); });
    for (PolicyState& policy : policies_) {
        if (std::optional<BackendTls> tls = evaluate(policy, certificates)) {
            const std::string name = full_name(policy.spec->meta);
            policy.tls = last.value_of(name, *std::move(tls));
            known.emplace(name, policy.tls);
        }
        for (const model::PolicyTarget& target : policy.spec->targets) {
            if (!is_service(target))
                continue;
            const auto service = services.find(NameView{policy.spec->meta.ns, target.name});
            add_target(policy, target, service == services.end() ? nullptr : service->second);
        }
    }
}

void Policies::add_target(PolicyState& policy, const model::PolicyTarget& target, const model::Service* service)
{
    const std::optional<std::string>& port_name = target.section_name;
    Target& all = targets_[NameView{policy.spec->meta.ns, target.name}];
    const PolicyState*& oldest = port_name ? all.by_port[*port_name] : all.whole;
    const auto described = [&] {
        return fmt::format("Service {}/{}{}{}", policy.spec->meta.ns, target.name, port_name ? " port " : "",
                           port_name.value_or(""));
    };
    if (policy.accepted.ok() && oldest != nullptr)
        policy.accepted = {"Conflicted", fmt::format("the older BackendTLSPolicy {} has {} as its target already",
                                                     full_name(oldest->spec->meta), described())};
    if (policy.accepted.ok() && service != nullptr && port_name &&
        std::ranges::find(service->ports, *port_name, &model::ServicePort::name) == service->ports.end())
        policy.accepted = {"TargetNotFound", described() + " does not exist"};
    if (oldest == nullptr)
        oldest = &policy;
}

const PolicyState* Policies::find(const model::Service& service, const model::ServicePort& port) const
{
    const auto found = targets_.find(NameView{service.meta.ns, service.meta.name});
    if (found == targets_.end())
        return nullptr;
    const auto of_port = found->second.by_port.find(port.name);
    return of_port != found->second.by_port.end() ? of_port->second : found->second.whole;
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
    Gateways& gateways = found->second.gateways;
    gateways.emplace(gateway.ns.value_or(""), gateway.name);
    // A status tells no more, and the first of a policy are among the first of its Services.
    if (gateways.size() > kAncestorsMax)
        gateways.erase(std::prev(gateways.end()));
}

Policies::Gateways Policies::gateways_of(const model::BackendTlsPolicy& policy) const
{
    Gateways gateways;
    for (const model::PolicyTarget& target : policy.targets) {
        if (!is_service(target))
            continue;
        const Gateways& more = targets_.at(NameView{policy.meta.ns, target.name}).gateways;
        gateways.insert(more.begin(), more.end());
    }
    return gateways;
}

void Policies::append_statuses(model::Statuses& statuses, std::vector<model::ObjectKey>& others) const
{
    for (const PolicyState& policy : policies_) {
        const model::ObjectMeta& meta = policy.spec->meta;
        const Gateways gateways = gateways_of(*policy.spec);
        if (gateways.empty()) {
            others.push_back({model::BackendTlsPolicy::kKind, meta.ns, meta.name});
            continue;
        }
        model::ObjectStatus status;
        status.key = {model::BackendTlsPolicy::kKind, meta.ns, meta.name};
        for (const auto& [ns, name] : gateways) {
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
