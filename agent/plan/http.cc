// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/http.h"

#include <algorithm>
#include <map>

#include "agent/plan/hostname.h"
#include "agent/plan/precedence.h"

namespace sluice::plan {
namespace {

HttpRule to_rule(const RouteState& route, std::size_t index, BackendIdentity& identity)
{
    const RuleState& state = route.rules[index];
    HttpRule rule;
    rule.name = full_name(route.spec->meta);
    rule.name.append("/").append(std::to_string(index));
    rule.backends = identity.apply(state.backends);
    rule.filters = state.filters;
    rule.request_timeout_ms = state.request_timeout_ms;
    rule.backend_request_timeout_ms = state.backend_request_timeout_ms;
    rule.grpc = route.grpc != nullptr;
    return rule;
}

// Adds every match of an attached route under each of its hosts.
void add_candidates(const Attachment& attachment, std::uint32_t first_rule,
                    std::unordered_map<std::string_view, std::vector<Candidate>>& hosts)
{
    for (const ServedHost& host : attachment.hosts) {
        std::vector<Candidate>& candidates = hosts[host.hostname];
        for (std::uint32_t rule = 0; rule < attachment.route->rules.size(); ++rule) {
            const RuleState& state = attachment.route->rules[rule];
            for (std::uint32_t i = 0; i < state.matches.size(); ++i)
                candidates.push_back({&state.matches[i], host.route_hostname, first_rule + rule, i,
                                      state.methods.empty() ? nullptr : &state.methods[i]});
        }
    }
}

HttpListener to_listener(const ListenerState& state, BackendIdentity& identity)
{
    HttpListener listener;
    listener.name = state.name;
    listener.hostname = state.hostname;
    listener.tls = state.termination;
    std::unordered_map<std::string_view, std::vector<Candidate>> hosts;
    for (const Attachment& attachment : state.attachments) {
        add_candidates(attachment, static_cast<std::uint32_t>(listener.rules.size()), hosts);
        for (std::size_t i = 0; i < attachment.route->rules.size(); ++i)
            listener.rules.push_back(to_rule(*attachment.route, i, identity));
    }
    listener.hosts.reserve(hosts.size());
    for (auto& [hostname, candidates] : hosts) {
        std::ranges::sort(candidates, has_precedence);
        HttpHost& host = listener.hosts.emplace_back();
        host.hostname = hostname;
        host.entries.reserve(candidates.size());
        for (const Candidate& candidate : candidates)
            host.entries.push_back({*candidate.match, candidate.rule});
    }
    std::ranges::sort(listener.hosts, is_more_specific, &HttpHost::hostname);
    return listener;
}

}  // namespace

std::vector<HttpPort> build_http_ports(const std::vector<GatewayState>& gateways)
{
    std::map<std::pair<std::uint16_t, std::vector<IpAddress>>, HttpPort> ports;
    for (const GatewayState& gateway : gateways) {
        BackendIdentity identity(gateway);
        for (const ListenerState& listener : gateway.listeners) {
            const bool tls = listener.protocol == ListenerProtocol::Https;
            if (!listener.served || (!tls && listener.protocol != ListenerProtocol::Http))
                continue;
            HttpPort& port = ports[{listener.spec->port, gateway.addresses}];
            port.addresses = gateway.addresses;
            port.port = listener.spec->port;
            port.tls = tls;
            port.listeners.push_back(to_listener(listener, identity));
        }
    }
    std::vector<HttpPort> result;
    for (auto& [key, port] : ports) {
        std::ranges::sort(port.listeners, {}, &HttpListener::name);
        result.push_back(std::move(port));
    }
    return result;
}

}  // namespace sluice::plan
