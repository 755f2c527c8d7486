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
        if (port.tls)
            target.tls = tls_for(port, contexts);
        for (const plan::HttpListener& listener : port.listeners) {
            for (const Shared<plan::HttpRule>& rule : listener.rules) {
                for (const plan::Backend& backend : rule->backends)
                    add_backend(backend, {backend.tls.get(), backend.app_protocol}, contexts, listener.name);
            }
        }
        add(port.addresses, port.port, plan::Protocol::Tcp, [&](Target& place) { place = target; });
    }
    for (const plan::TlsPort& port : plan_->tls) {
        for (const plan::TlsHost& host : port.hosts) {
            if (host.termination)
                add_tls_host(host, contexts);
        }
        add(port.addresses, port.port, plan::Protocol::Tcp, [&](Target& place) { place.tls_port = &port; });
    }
    for (const plan::L4Listener& listener : plan_->l4)
        add(listener.addresses, listener.port, listener.protocol, [&](Target& place) { place = {.l4 = &listener}; });
}

// The listeners whose hosts are refused have a problem each; the others of the port serve beside them.
std::shared_ptr<const TlsServerContext> Snapshot::tls_for(const plan::HttpPort& port, TlsContexts& contexts)
{
    auto made = contexts.of(port);
    for (const plan::HttpListener& listener : port.listeners) {
        if (!made)
            problems_.push_back({listener.name, to_string(made.error())});
        else
            add_refused(listener.name, listener.hostname, **made);
    }
    return made && (*made)->serves() ? *std::move(made) : nullptr;
}

void Snapshot::add_tls_host(const plan::TlsHost& host, TlsContexts& contexts)
{
    auto made = contexts.of(host);
    if (!made)
        problems_.push_back({host.listener, to_string(made.error())});
    else
        add_refused(host.listener, host.hostname, **made);
    if (made && (*made)->serves())
        tls_hosts_[&host] = *std::move(made);
    for (const plan::Backend& backend : host.backends)
        add_backend(backend, {backend.tls.get(), std::nullopt}, contexts, host.listener);
}

void Snapshot::add_refused(const std::string& listener, const std::string& hostname, const TlsServerContext& context)
{
    for (const TlsServerContext::RefusedHost& refused : context.refused()) {
        if (refused.hostname == hostname)
            problems_.push_back({listener, to_string(refused.error)});
    }
}

void Snapshot::add_backend(const plan::Backend& backend, const TlsBackend& key, TlsContexts& contexts,
                           const std::string& listener)
{
    if (!backend.tls || tls_backends_.contains(key))
        return;
    auto made = contexts.of(*backend.tls, key.second);
    if (!made)
        problems_.push_back({listener, backend.name + ": " + to_string(made.error())});
    tls_backends_[key] = made.value_or(nullptr);
}

std::shared_ptr<const TlsClientContext> Snapshot::find_backend(const TlsBackend& key) const
{
    const auto found = tls_backends_.find(key);
    return found == tls_backends_.end() ? nullptr : found->second;
}

std::shared_ptr<const TlsServerContext> Snapshot::tls_of(const plan::TlsHost& host) const
{
    const auto found = tls_hosts_.find(&host);
    return found == tls_hosts_.end() ? nullptr : found->second;
}

std::shared_ptr<const TlsClientContext> Snapshot::tls_of(const plan::Backend& backend) const
{
    return find_backend({backend.tls.get(), backend.app_protocol});
}

std::shared_ptr<const TlsClientContext> Snapshot::relay_tls_of(const plan::Backend& backend) const
{
    return find_backend({backend.tls.get(), std::nullopt});
}

const Snapshot::Target& Snapshot::find(const SocketAddress& local, plan::Protocol protocol) const
{
    if (const auto exact = targets_.find({local, protocol}); exact != targets_.end())
        return exact->second;
    const auto any = targets_.find({{IpAddress{}, local.port}, protocol});
    return any == targets_.end() ? none_ : any->second;
}

}  // namespace sluice::proxy
