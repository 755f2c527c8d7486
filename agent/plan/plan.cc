// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/plan.h"

#include <algorithm>

#include "agent/plan/addresses.h"
#include "agent/plan/attachment.h"
#include "agent/plan/classes.h"
#include "agent/plan/conflicts.h"
#include "agent/plan/http.h"
#include "agent/plan/infrastructure.h"
#include "agent/plan/l4.h"
#include "agent/plan/policies.h"
#include "agent/plan/status.h"
#include "agent/plan/tls.h"

namespace sluice::plan {
namespace {

// The routes that name a Gateway of ours, and the keys of those that do not.
struct Routes {
    const Attacher& attacher;
    std::vector<RouteState> ours;
    std::vector<model::ObjectKey> others;

    RouteState* add(const char* kind, const model::RouteCommon& spec)
    {
        std::vector<ParentState> parents = attacher.our_parents(spec);
        if (parents.empty()) {
            others.push_back({kind, spec.meta.ns, spec.meta.name});
            return nullptr;
        }
        RouteState& route = ours.emplace_back();
        route.kind = kind;
        route.spec = &spec;
        route.parents = std::move(parents);
        return &route;
    }
};

// Ours: oldest first.
Routes find_routes(const model::Objects& objects, const Attacher& attacher)
{
    Routes routes{.attacher = attacher, .ours = {}, .others = {}};
    routes.ours.reserve(objects.http_routes.size() + objects.grpc_routes.size() + objects.tls_routes.size() +
                        objects.tcp_routes.size() + objects.udp_routes.size());
    for (const model::HttpRoute& spec : objects.http_routes)
        if (RouteState* route = routes.add(model::HttpRoute::kKind, spec)) {
            route->http = &spec;
            route->hostnames = &spec.hostnames;
        }
    for (const model::GrpcRoute& spec : objects.grpc_routes)
        if (RouteState* route = routes.add(model::GrpcRoute::kKind, spec)) {
            route->grpc = &spec;
            route->hostnames = &spec.hostnames;
        }
    for (const model::TlsRoute& spec : objects.tls_routes)
        if (RouteState* route = routes.add(model::TlsRoute::kKind, spec)) {
            route->l4 = &spec;
            route->hostnames = &spec.hostnames;
        }
    for (const model::TcpRoute& spec : objects.tcp_routes)
        if (RouteState* route = routes.add(model::TcpRoute::kKind, spec))
            route->l4 = &spec;
    for (const model::UdpRoute& spec : objects.udp_routes)
        if (RouteState* route = routes.add(model::UdpRoute::kKind, spec))
            route->l4 = &spec;
    std::ranges::sort(routes.ours, [](const RouteState& a, const RouteState& b) {
        const auto order = order_of_age(a.spec->meta, b.spec->meta);
        return order != 0 ? order < 0 : std::string_view(a.kind) < b.kind;
    });
    return routes;
}

void build_rules(RouteState& route, References& references, RegexErrors& regex_errors)
{
    if (route.http != nullptr) {
        route.supported = check_http_route(*route.http, regex_errors);
        build_http_rules(route, references);
    } else if (route.grpc != nullptr) {
        route.supported = check_grpc_route(*route.grpc, regex_errors);
        build_grpc_rules(route, references);
    } else if (route.hostnames != nullptr) {
        build_tls_rule(route, references);
    } else {
        build_l4_rule(route, references);
    }
}

}  // namespace

Plan make_plan(const model::Objects& objects, const NodeFacts& facts)
{
    Plan plan;
    std::vector<GatewayState> gateways = find_gateways(objects, facts, plan.statuses);
    const Grants grants(objects);
    const Certificates certificates(objects, grants);
    for (GatewayState& gateway : gateways) {
        check_listeners(gateway);
        resolve_certificates(gateway, certificates);
    }
    resolve_conflicts(gateways);

    Attacher attacher(gateways, objects);
    Policies policies(objects, certificates);
    References references(objects, facts, grants, policies);
    RegexErrors regex_errors;
    Routes routes = find_routes(objects, attacher);
    for (RouteState& route : routes.ours) {
        build_rules(route, references, regex_errors);
        attacher.attach(route);
        for (const model::Service* service : route.policy_targets)
            for (const ParentState& parent : route.parents)
                if (parent.accepted.ok())
                    policies.add_gateway(*service, parent.ref);
    }

    plan.pool_addresses = pool_addresses(gateways, objects, facts);
    plan.addresses = local_addresses(gateways, plan.pool_addresses, facts);
    if (facts.cluster)
        plan.infrastructure = infrastructure_services(gateways, objects);
    plan.l4 = build_l4_listeners(gateways);
    plan.http = build_http_ports(gateways);
    plan.tls = build_tls_ports(gateways);
    for (const GatewayState& gateway : gateways)
        plan.statuses.push_back(gateway_status(gateway));
    for (const RouteState& route : routes.ours)
        plan.statuses.push_back(route_status(route));
    plan.others = std::move(routes.others);
    policies.append_statuses(plan.statuses, plan.others);
    std::ranges::sort(plan.statuses, {}, &model::ObjectStatus::key);
    return plan;
}

}  // namespace sluice::plan
