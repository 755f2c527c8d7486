// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/http.h"

#include <algorithm>
#include <map>

#include "agent/plan/hostname.h"
#include "agent/plan/precedence.h"

namespace sluice::plan {
namespace {

using Candidates = std::vector<Candidate>;
using CandidatesByHost = std::unordered_map<std::string_view, Candidates>;

// Adds every match of an attached route under each of its hosts.
void add_candidates(const Attachment& attachment, std::uint32_t first_rule, CandidatesByHost& hosts)
{
    for (const ServedHost& host : *attachment.hosts) {
        Candidates& candidates = hosts[host.hostname];
        for (std::uint32_t rule = 0; rule < attachment.route->rules.size(); ++rule) {
            const RuleState& state = attachment.route->rules[rule];
            for (std::uint32_t i = 0; i < state.matches.size(); ++i)
                candidates.push_back({&state.matches[i], host.route_hostname, first_rule + rule, i,
                                      state.methods.empty() ? nullptr : &state.methods[i]});
        }
    }
}

// The most specific first.
std::vector<HttpHost> to_hosts(CandidatesByHost& hosts, const std::vector<Shared<HttpRule>>& rules)
{
    // Small things are sorted, and then made large.
    std::vector<std::pair<std::string_view, Candidates*>> in_order;
    in_order.reserve(hosts.size());
    for (auto& [hostname, candidates] : hosts)
        in_order.emplace_back(hostname, &candidates);
    std::ranges::sort(in_order, is_more_specific, &std::pair<std::string_view, Candidates*>::first);
    std::vector<HttpHost> result;
    result.reserve(hosts.size());
    for (const auto& [hostname, candidates] : in_order) {
        std::ranges::sort(*candidates, has_precedence);
        HttpHost& host = result.emplace_back();
        host.hostname = hostname;
        host.entries.reserve(candidates->size());
        for (const Candidate& candidate : *candidates)
            host.entries.push_back({*candidate.match, rules[candidate.rule]});
    }
    return result;
}

HttpListener to_listener(const ListenerState& state, BackendIdentity& identity)
{
    HttpListener listener;
    listener.name = state.name;
    listener.hostname = state.hostname;
    listener.tls = state.termination;
    CandidatesByHost hosts;
    hosts.reserve(state.attachments.size());
    listener.rules.reserve(state.attachments.size());
    for (const Attachment& attachment : state.attachments) {
        add_candidates(attachment, static_cast<std::uint32_t>(listener.rules.size()), hosts);
        for (const RuleState& rule : attachment.route->rules)
            listener.rules.push_back(identity.apply(rule.http));
    }
    listener.hosts = to_hosts(hosts, listener.rules);
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
