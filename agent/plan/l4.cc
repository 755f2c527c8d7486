// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/l4.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::plan {
namespace {

L4Listener to_listener(const GatewayState& gateway, const ListenerState& state)
{
    L4Listener listener;
    listener.name = state.name;
    listener.addresses = gateway.addresses;
    listener.port = state.spec->port;
    listener.protocol = state.protocol == ListenerProtocol::Udp ? Protocol::Udp : Protocol::Tcp;
    if (!state.attachments.empty()) {
        const RouteState& oldest = *state.attachments.front().route;
        listener.route = full_name(oldest.spec->meta);
        listener.backends = oldest.rules.front().backends;
    }
    return listener;
}

}  // namespace

void build_l4_rule(RouteState& route, References& references)
{
    RuleState& rule = route.rules.emplace_back();
    const char* protocol = route.kind == std::string_view(model::UdpRoute::kKind) ? "UDP" : "TCP";
    const FieldPath rules("spec.rules", 0);
    for (std::size_t i = 0; i < route.l4->backend_refs.size(); ++i) {
        Backend backend = references.resolve(route, route.l4->backend_refs[i], protocol, {rules, "backendRefs", i});
        if (backend.weight > 0)
            rule.backends.push_back(std::move(backend));
    }
}

std::vector<L4Listener> build_l4_listeners(const std::vector<GatewayState>& gateways)
{
    std::vector<L4Listener> listeners;
    for (const GatewayState& gateway : gateways)
        for (const ListenerState& listener : gateway.listeners)
            if (listener.served &&
                (listener.protocol == ListenerProtocol::Tcp || listener.protocol == ListenerProtocol::Udp))
                listeners.push_back(to_listener(gateway, listener));
    std::ranges::sort(listeners, {}, &L4Listener::name);
    return listeners;
}

}  // namespace sluice::plan
