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
#include "agent/plan/route_memory.h"
#include "agent/plan/status.h"
#include "agent/plan/tls.h"

namespace sluice::plan {
namespace {

void build_rules(RouteState& route, References& references, RegexErrors& regex_errors)
{
    if (route.http != nullptr) {
        build_http_rules(route, references, regex_errors);
    } else if (route.grpc != nullptr) {
        build_grpc_rules(route, references, regex_errors);
    } else if (route.hostnames != nullptr) {
        build_tls_rule(route, references);
    } else {
        build_l4_rule(route, references);
    }
}

// Finds out what is not known yet of a route, and attaches it.
void plan_route(RouteState& route, Attacher& attacher, References& references, RegexErrors& regex_errors)
{
    if (!route.is_new && (route.parents.empty() || attacher.attach_again(route)))
        return;
    if (route.is_new) {
        route.parents = attacher.our_parents(*route.spec);
        if (!route.parents.empty())
            build_rules(route, references, regex_errors);
    }
    attacher.attach(route);
    route.status = route_status(route);
    route.is_new = false;
}

}  // namespace

Planner::Planner() : routes_(std::make_unique<RouteMemory>()) {}
Planner::~Planner() = default;

Plan Planner::plan(const model::Objects& objects, const NodeFacts& facts)
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

    Attacher attacher(gateways, objects, facts.route_entries_max);
    Policies policies(objects, certificates, backend_tls_);
    References references(objects, facts, grants, policies);
    RegexErrors regex_errors;
    for (const std::unique_ptr<RouteState>& route : routes_->update(objects, facts)) {
        plan_route(*route, attacher, references, regex_errors);
        if (route->parents.empty()) {
            plan.others.push_back({route->kind, route->spec->meta.ns, route->spec->meta.name});
            continue;
        }
        plan.statuses.push_back(route->status);
        for (const model::Service* service : route->policy_targets)
            for (const ParentState& parent : route->parents)
                if (parent.accepted.ok())
                    policies.add_gateway(*service, parent.ref);
    }

    plan.pool_addresses = pool_addresses(gateways, objects, facts);
    plan.addresses = local_addresses(gateways, plan.pool_addresses, objects, facts);
    if (facts.cluster)
        plan.infrastructure = infrastructure_services(gateways, objects);
    plan.l4 = build_l4_listeners(gateways);
    plan.http = build_http_ports(gateways);
    plan.tls = build_tls_ports(gateways);
    for (const GatewayState& gateway : gateways)
        plan.statuses.push_back(gateway_status(gateway));
    policies.append_statuses(plan.statuses, plan.others);
    std::ranges::sort(plan.statuses, {}, model::key_of);
    return plan;
}

Plan make_plan(const model::Objects& objects, const NodeFacts& facts) { return Planner().plan(objects, facts); }

}  // namespace sluice::plan
