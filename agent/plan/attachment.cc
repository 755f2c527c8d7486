// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/attachment.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/plan/hostname.h"

namespace sluice::plan {
namespace {

constexpr std::size_t kNamesInMessageMax = 8;

bool selects(const model::ParentReference& ref, const model::Listener& listener)
{
    return (!ref.section_name || *ref.section_name == listener.name) && (!ref.port || *ref.port == listener.port);
}

bool allows_kind(const ListenerState& listener, const RouteState& route)
{
    return std::ranges::any_of(listener.supported_kinds, [&](const model::RouteGroupKind& one) {
        return one.group == model::kGatewayGroup && one.kind == route.kind;
    });
}

const char* to_text(model::AllowedRoutes::From from)
{
    switch (from) {
    case model::AllowedRoutes::From::Same: return "Same";
    case model::AllowedRoutes::From::All: return "All";
    case model::AllowedRoutes::From::Selector: return "Selector";
    case model::AllowedRoutes::From::None: return "None";
    }
    return "";
}

// "web (HTTP, port 80), dns (UDP, port 53)" of the listeners that a parentRef selects.
std::string describe(const GatewayState& gateway, const model::ParentReference& ref)
{
    std::string text;
    std::size_t count = 0;
    for (const ListenerState& listener : gateway.listeners) {
        if (!selects(ref, *listener.spec))
            continue;
        if (++count > kNamesInMessageMax)
            return text + ", …";
        text += fmt::format("{}{} ({}, port {}, namespaces {})", text.empty() ? "" : ", ", listener.spec->name,
                            listener.spec->protocol, listener.spec->port, to_text(listener.spec->allowed_routes.from));
    }
    return text;
}

Verdict no_matching_parent(const GatewayState& gateway, const model::ParentReference& ref)
{
    std::string wanted;
    if (ref.section_name)
        wanted += fmt::format(" sectionName \"{}\"", *ref.section_name);
    if (ref.port)
        wanted += fmt::format(" port {}", *ref.port);
    model::ParentReference every = ref;
    every.section_name.reset();
    every.port.reset();
    return {"NoMatchingParent", fmt::format("parentRef: Gateway {} has no listener with{}; it has {}",
                                            full_name(gateway.spec->meta), wanted, describe(gateway, every))};
}

std::size_t count_regexes(const model::HttpMatch& match)
{
    const auto count = [](const std::vector<model::ValueMatch>& values) {
        return std::ranges::count(values, model::ValueMatchType::RegularExpression, &model::ValueMatch::type);
    };
    const std::size_t path = match.path.type == model::PathMatchType::RegularExpression ? 1 : 0;
    return path + static_cast<std::size_t>(count(match.headers) + count(match.query_params));
}

// How far a route came with the listeners that its parentRef selects.
struct Progress {
    bool selected = false;
    bool kind = false;
    bool ns = false;
    bool hostname = false;
    bool room = true;
    bool granted = false;
};

Verdict verdict_of(const Progress& progress, const GatewayState& gateway, const RouteState& route,
                   const model::ParentReference& ref, const RouteEntriesMax& entries_max)
{
    if (progress.granted)
        return route.supported;
    const std::string name = full_name(gateway.spec->meta);
    if (!progress.room)
        return {
            "TooManyMatches",
            fmt::format("no room is left for this route: of hostnames times matches, and {} for each regular "
                        "expression, added up over the listeners of all routes, {} of namespace \"{}\" are served, and "
                        "{} of all namespaces",
                        kRegexEntries, entries_max.of_namespace, route.spec->meta.ns, entries_max.all)};
    if (progress.hostname)
        return {"HostnameConflict",
                fmt::format("spec.hostnames has a name in common with an older {} on every selected listener of "
                            "Gateway {}; a name is served by one of the two kinds",
                            route.grpc != nullptr ? model::HttpRoute::kKind : model::GrpcRoute::kKind, name)};
    if (!progress.selected)
        return no_matching_parent(gateway, ref);
    if (!progress.kind)
        return {"NotAllowedByListeners", fmt::format("no selected listener of Gateway {} takes a {}: {}", name,
                                                     route.kind, describe(gateway, ref))};
    if (!progress.ns)
        return {"NotAllowedByListeners",
                fmt::format("allowedRoutes.namespaces of Gateway {} does not let namespace \"{}\" in: {}", name,
                            route.spec->meta.ns, describe(gateway, ref))};
    return {"NoMatchingListenerHostname",
            fmt::format("spec.hostnames has no name in common with the selected listeners of Gateway {}", name)};
}

}  // namespace

Attacher::Attacher(std::vector<GatewayState>& gateways, const model::Objects& objects,
                   const RouteEntriesMax& entries_max)
    : all_(gateways), has_both_kinds_(!objects.http_routes.empty() && !objects.grpc_routes.empty()), room_(entries_max)
{
    for (GatewayState& gateway : gateways)
        gateways_.emplace(NameView{gateway.spec->meta.ns, gateway.spec->meta.name}, &gateway);
    for (const model::Namespace& one : objects.namespaces)
        namespaces_.emplace(one.meta.name, &one.meta.labels);
}

GatewayState* Attacher::find(const model::ParentReference& ref) const
{
    if (ref.group != model::kGatewayGroup || ref.kind != model::Gateway::kKind)
        return nullptr;
    const auto found = gateways_.find(NameView{*ref.ns, ref.name});
    return found == gateways_.end() ? nullptr : found->second;
}

std::vector<ParentState> Attacher::our_parents(const model::RouteCommon& route) const
{
    std::vector<ParentState> parents;
    for (const model::ParentReference& written : route.parent_refs) {
        model::ParentReference ref = written;
        if (!ref.ns)
            ref.ns = route.meta.ns;
        if (find(ref) != nullptr && std::ranges::find(parents, ref, &ParentState::ref) == parents.end())
            parents.push_back({std::move(ref), {}, {}});
    }
    return parents;
}

bool Attacher::allows_namespace(const GatewayState& gateway, const ListenerState& listener, const std::string& ns)
{
    const model::AllowedRoutes& allowed = listener.spec->allowed_routes;
    switch (allowed.from) {
    case model::AllowedRoutes::From::All: return true;
    case model::AllowedRoutes::From::None: return false;
    case model::AllowedRoutes::From::Same: return gateway.spec->meta.ns == ns;
    case model::AllowedRoutes::From::Selector: break;
    }
    const auto [entry, is_new] = selected_[&listener].try_emplace(ns, false);
    if (is_new) {
        const auto found = namespaces_.find(ns);
        // Manifests in files seldom hold Namespace objects; every namespace has this label.
        entry->second = allowed.selector.matches(
            found != namespaces_.end() ? *found->second : model::Labels{{"kubernetes.io/metadata.name", ns}});
    }
    return entry->second;
}

// Whether an older route of the other kind, HTTPRoute or GRPCRoute, has one of the hosts (GEP-1016).
bool Attacher::is_taken(const ListenerState& listener, const RouteState& route, const std::vector<ServedHost>& hosts)
{
    if (!has_both_kinds_ || route.l4 != nullptr)
        return false;
    const KindHosts& claimed = kind_hosts_[&listener];
    const HostnameSet& others = route.grpc != nullptr ? claimed.http : claimed.grpc;
    return std::ranges::any_of(hosts, [&](const ServedHost& host) { return others.overlaps(host.hostname); });
}

void Attacher::claim_hosts(const ListenerState& listener, const RouteState& route, const std::vector<ServedHost>& hosts)
{
    if (!has_both_kinds_ || route.l4 != nullptr)
        return;
    KindHosts& claimed = kind_hosts_[&listener];
    HostnameSet& own = route.grpc != nullptr ? claimed.grpc : claimed.http;
    for (const ServedHost& host : hosts)
        own.insert(host.hostname);
}

Claim Attacher::claim(const RouteState& route, const Reach& reach)
{
    const ListenerState& listener = listener_of(reach);
    if (!room_.take(route.spec->meta.ns, reach.entries))
        return Claim::NoRoom;
    if (is_taken(listener, route, reach.hosts))
        return Claim::Taken;  // and has its room: what is remembered of it is as large
    claim_hosts(listener, route, reach.hosts);
    return Claim::Granted;
}

std::size_t Attacher::Demand::entries(std::size_t hosts) const
{
    return std::max<std::size_t>(hosts, 1) * std::max<std::size_t>(matches, 1) + regexes * kRegexEntries;
}

Attacher::Demand Attacher::demand_of(const RouteState& route)
{
    Demand demand;
    for (const RuleState& rule : route.rules) {
        demand.matches += rule.matches.size();
        for (const Shared<model::HttpMatch>& match : rule.matches)
            demand.regexes += count_regexes(*match);
    }
    if (route.hostnames != nullptr && !finds_no_room(route))
        for (const std::string& hostname : *route.hostnames)
            demand.hostnames.insert(to_lower(hostname));
    return demand;
}

// Who asks for none, being refused anyway, is told what else is wrong.
bool Attacher::finds_no_room(const RouteState& route)
{
    return route.supported.ok() && room_.is_full(route.spec->meta.ns);
}

Claim Attacher::reach(GatewayState& gateway, std::size_t listener, std::vector<ServedHost> hosts, const Demand& demand,
                      RouteState& route)
{
    ListenerState& target = gateway.listeners[listener];
    // Nothing more is to be said of what is not served, nor where another parentRef has led before.
    if (!route.supported.ok() || target.granted_last == &route)
        return Claim::Granted;
    const std::size_t entries = demand.entries(hosts.size());
    Reach reach{.gateway = static_cast<std::size_t>(&gateway - all_.data()),
                .listener = listener,
                .hosts = std::move(hosts),
                .entries = entries};
    reach.claim = claim(route, reach);
    if (reach.claim == Claim::NoRoom) {
        reach.hosts = {};
        if (!route.reached.empty() && route.reached.back().claim == Claim::NoRoom)
            return Claim::NoRoom;
    }
    if (reach.claim == Claim::Granted)
        target.granted_last = &route;
    route.reached.push_back(std::move(reach));
    return route.reached.back().claim;
}

void Attacher::attach_to(GatewayState& gateway, const Demand& demand, RouteState& route, ParentState& parent)
{
    Progress progress;
    parent.accepted_note.clear();
    for (std::size_t i = 0; i < gateway.listeners.size(); ++i) {
        const ListenerState& listener = gateway.listeners[i];
        if (!selects(parent.ref, *listener.spec))
            continue;
        progress.selected = true;
        if (!allows_kind(listener, route))
            continue;
        progress.kind = true;
        if (!allows_namespace(gateway, listener, route.spec->meta.ns))
            continue;
        progress.ns = true;
        std::vector<ServedHost> hosts;
        if (route.hostnames != nullptr && !finds_no_room(route)) {
            hosts = served_hosts(listener.hostname, demand.hostnames);
            if (hosts.empty())
                continue;
        }
        const Claim claimed = reach(gateway, i, std::move(hosts), demand, route);
        progress.hostname = true;
        progress.room = progress.room && claimed != Claim::NoRoom;
        progress.granted = progress.granted || claimed == Claim::Granted;
        if (route.supported.ok() && (!listener.served || claimed != Claim::Granted))
            parent.accepted_note +=
                fmt::format("{}{}", parent.accepted_note.empty() ? "not served by " : ", ", listener.spec->name);
    }
    parent.accepted = verdict_of(progress, gateway, route, parent.ref, room_.max());
}

void Attacher::add_attachments(const RouteState& route)
{
    for (const Reach& reach : route.reached)
        if (reach.claim == Claim::Granted)
            listener_of(reach).attachments.push_back({&route, &reach.hosts});
}

void Attacher::attach(RouteState& route)
{
    route.reached.clear();
    if (route.parents.empty())
        return;
    const Demand demand = demand_of(route);
    for (ParentState& parent : route.parents)
        attach_to(*find(parent.ref), demand, route, parent);
    add_attachments(route);
}

bool Attacher::attach_again(const RouteState& route)
{
    const std::string& ns = route.spec->meta.ns;
    const RouteRoom::Left before = room_.left(ns);
    for (const Reach& reach : route.reached) {
        if (claim(route, reach) == reach.claim)
            continue;
        room_.restore(ns, before);
        return false;
    }
    // Who finds no room is not asked for its hosts; who came to know them, or was refused so, may be the other today.
    if (finds_no_room(route)) {
        room_.restore(ns, before);
        return false;
    }
    add_attachments(route);
    return true;
}

}  // namespace sluice::plan
