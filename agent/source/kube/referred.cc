// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/referred.h"

#include <algorithm>

#include "agent/source/validate.h"

namespace sluice::source {
namespace {

void add(const model::ObjectReference& reference, const std::string& from_ns, std::set<model::ObjectKey>& keys)
{
    if (reference.group.empty() && (reference.kind == "Secret" || reference.kind == "ConfigMap") &&
        !dns_subdomain(reference.name) && !dns_label(reference.ns.value_or(from_ns)))
        keys.insert({reference.kind, reference.ns.value_or(from_ns), reference.name});
}

void add_all(const std::vector<model::ObjectReference>& references, const std::string& from_ns,
             std::set<model::ObjectKey>& keys)
{
    for (const model::ObjectReference& reference : references)
        add(reference, from_ns, keys);
}

}  // namespace

void add_referred(const AnyObject& object, std::set<model::ObjectKey>& keys)
{
    if (const auto* policy = std::get_if<model::BackendTlsPolicy>(&object))
        return add_all(policy->ca_refs, policy->meta.ns, keys);
    const auto* gateway = std::get_if<model::Gateway>(&object);
    if (gateway == nullptr)
        return;
    const std::string& ns = gateway->meta.ns;
    for (const model::Listener& listener : gateway->listeners) {
        if (listener.tls)
            add_all(listener.tls->certificate_refs, ns, keys);
    }
    if (gateway->tls.client_validation)
        add_all(gateway->tls.client_validation->ca_refs, ns, keys);
    for (const auto& [port, validation] : gateway->tls.client_validation_of_port) {
        if (validation)
            add_all(validation->ca_refs, ns, keys);
    }
    if (gateway->tls.backend_certificate_ref)
        add(*gateway->tls.backend_certificate_ref, ns, keys);
}

std::set<model::ObjectKey> choose_referred(const std::map<std::string, std::set<model::ObjectKey>>& by_namespace,
                                           const std::function<bool(const model::ObjectKey&)>& is_held,
                                           std::size_t most)
{
    std::vector<std::vector<model::ObjectKey>> queues;
    std::size_t rounds = 0;
    for (const auto& [ns, keys] : by_namespace) {
        auto& queue = queues.emplace_back(keys.begin(), keys.end());
        std::ranges::stable_partition(queue, is_held);
        rounds = std::max(rounds, queue.size());
    }
    std::set<model::ObjectKey> chosen;
    for (std::size_t round = 0; round < rounds; ++round)
        for (const auto& queue : queues)
            if (round < queue.size() && chosen.size() < most)
                chosen.insert(queue[round]);
    return chosen;
}

}  // namespace sluice::source
