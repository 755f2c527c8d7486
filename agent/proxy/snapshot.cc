// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/snapshot.h"

namespace sluice::proxy {

Snapshot::Snapshot(plan::PlanPtr plan, TlsContexts& contexts) : plan_(std::move(plan))
{
    const auto add = [&](const std::vector<IpAddress>& addresses, std::uint16_t port, plan::Protocol protocol,
                         const auto& set) {
        for (const IpAddress& address : addresses)
            set(targets_[Key{{address, port}, protocol}]);
        if (addresses.empty())
            set(targets_[Key{{IpAddress{}, port}, protocol}]);
    };
    for (const plan::HttpPort& port : plan_->http) {
        routers_.push_back(Router::make(port));
        Target target{.http = routers_.back().get(), .http_port = &port};
        if (port.tls) {
            if (auto made = contexts.of(port))
                target.tls = *std::move(made);
            else
                for (const plan::HttpListener& listener : port.listeners)
                    problems_.push_back({listener.name, to_string(made.error())});
        }
        for (const plan::HttpListener& listener : port.listeners) {
            for (const Shared<plan::HttpRule>& rule : listener.rules)
                add_backends(rule->backends, contexts, listener.name);
        }
        add(port.addresses, port.port, plan::Protocol::Tcp, [&](Target& place) { place = target; });
    }
    for (const plan::TlsPort& port : plan_->tls) {
        for (const plan::TlsHost& host : port.hosts) {
            if (!host.termination)
                continue;
            if (auto made = contexts.of(host))
                tls_hosts_[&host] = *std::move(made);
            else
                problems_.push_back({host.listener, to_string(made.error())});
        }
        add(port.addresses, port.port, plan::Protocol::Tcp, [&](Target& place) { place.tls_port = &port; });
    }
    for (const plan::L4Listener& listener : plan_->l4)
        add(listener.addresses, listener.port, listener.protocol, [&](Target& place) { place = {.l4 = &listener}; });
}

void Snapshot::add_backends(const std::vector<plan::Backend>& backends, TlsContexts& contexts,
                            const std::string& listener)
{
    for (const plan::Backend& backend : backends) {
        const std::pair key(backend.tls.get(), backend.app_protocol);
        if (!backend.tls || tls_backends_.contains(key))
            continue;
        auto made = contexts.of(*backend.tls, backend.app_protocol);
        if (!made)
            problems_.push_back({listener, backend.name + ": " + to_string(made.error())});
        tls_backends_[key] = made.value_or(nullptr);
    }
}

std::shared_ptr<const TlsServerContext> Snapshot::tls_of(const plan::TlsHost& host) const
{
    const auto found = tls_hosts_.find(&host);
    return found == tls_hosts_.end() ? nullptr : found->second;
}

std::shared_ptr<const TlsClientContext> Snapshot::tls_of(const plan::Backend& backend) const
{
    const auto found = tls_backends_.find({backend.tls.get(), backend.app_protocol});
    return found == tls_backends_.end() ? nullptr : found->second;
}

const Snapshot::Target& Snapshot::find(const SocketAddress& local, plan::Protocol protocol) const
{
    if (const auto exact = targets_.find({local, protocol}); exact != targets_.end())
        return exact->second;
    const auto any = targets_.find({{IpAddress{}, local.port}, protocol});
    return any == targets_.end() ? none_ : any->second;
}

}  // namespace sluice::proxy
