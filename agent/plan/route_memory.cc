// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/route_memory.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <unordered_set>

namespace sluice::plan {
namespace {

using RoutePtr = std::unique_ptr<RouteState>;
using Names = std::unordered_set<NameView, NameViewHash>;

RouteSpec spec_of(const model::HttpRoute& route)
{
    return {.kind = model::HttpRoute::kKind, .spec = &route, .http = &route, .hostnames = &route.hostnames};
}
RouteSpec spec_of(const model::GrpcRoute& route)
{
    return {.kind = model::GrpcRoute::kKind, .spec = &route, .grpc = &route, .hostnames = &route.hostnames};
}
RouteSpec spec_of(const model::TlsRoute& route)
{
    return {.kind = model::TlsRoute::kKind, .spec = &route, .l4 = &route, .hostnames = &route.hostnames};
}
template <class L4> RouteSpec spec_of(const L4& route) { return {.kind = L4::kKind, .spec = &route, .l4 = &route}; }

RoutePtr new_route(const RouteSpec& spec)
{
    auto route = std::make_unique<RouteState>();
    static_cast<RouteSpec&>(*route) = spec;
    return route;
}

bool is_older_route(const RoutePtr& a, const RoutePtr& b)
{
    const auto order = order_of_age(a->spec->meta, b->spec->meta);
    return order != 0 ? order < 0 : std::string_view(a->kind) < b->kind;
}

// Calls `gone` with what only the list before has, `come` with what only the list after has.
template <class T, class Gone, class Come>
void compare(const model::SharedList<T>& before, const model::SharedList<T>& after, const Gone& gone, const Come& come)
{
    const auto place = [](const T& object) { return std::tie(object.meta.ns, object.meta.name); };
    auto was = before.begin();
    auto is = after.begin();
    while (was != before.end() && is != after.end()) {
        if (&*was == &*is) {
            ++was;
            ++is;
        } else if (place(*is) < place(*was)) {
            come(*is++);
        } else {
            gone(*was++);
        }
    }
    std::for_each(was, before.end(), gone);
    std::for_each(is, after.end(), come);
}

// The Services that are not what they were, or whose endpoints are not.
Names changed_services(const model::Objects& before, const model::Objects& after)
{
    Names names;
    const auto add_service = [&](const model::Service& one) { names.insert({one.meta.ns, one.meta.name}); };
    const auto add_slice = [&](const model::EndpointSlice& one) { names.insert({one.meta.ns, one.service_name}); };
    compare(before.services, after.services, add_service, add_service);
    compare(before.endpoint_slices, after.endpoint_slices, add_slice, add_slice);
    return names;
}

bool refers_to(const RouteSpec& route, const Names& services)
{
    const auto is_one = [&](const model::BackendRef& ref) {
        return services.contains({ref.ns ? *ref.ns : route.spec->meta.ns, ref.name});
    };
    const auto has_one = [&](const auto& rule) { return std::ranges::any_of(rule.backend_refs, is_one); };
    if (services.empty())
        return false;
    if (route.http != nullptr)
        return std::ranges::any_of(route.http->rules, has_one);
    if (route.grpc != nullptr)
        return std::ranges::any_of(route.grpc->rules, has_one);
    return has_one(*route.l4);
}

}  // namespace

// Whether everything but routes, Services and endpoints is as it was.
static_assert(sizeof(model::Objects) == 16 * sizeof(model::SharedList<model::Node>), "is a new list among the rest?");
bool RouteMemory::knows_the_rest(const model::Objects& objects, const NodeFacts& facts) const
{
    const auto is_same = [&](const auto... lists) { return ((objects_.*lists).is_same(objects.*lists) && ...); };
    using model::Objects;
    return facts_ == facts && is_same(&Objects::gateway_classes, &Objects::gateways, &Objects::backend_tls_policies,
                                      &Objects::reference_grants, &Objects::namespaces, &Objects::secrets,
                                      &Objects::config_maps, &Objects::node_gateway_configs, &Objects::nodes);
}

const std::vector<RoutePtr>& RouteMemory::update(const model::Objects& objects, const NodeFacts& facts)
{
    if (!knows_the_rest(objects, facts)) {
        routes_.clear();
        objects_ = {};
    }
    std::unordered_set<const model::RouteCommon*> gone;
    std::vector<RoutePtr> come;
    const auto compare_routes = [&](const auto... lists) {
        const auto is_gone = [&](const model::RouteCommon& route) { gone.insert(&route); };
        const auto is_new = [&](const auto& route) { come.push_back(new_route(spec_of(route))); };
        (compare(objects_.*lists, objects.*lists, is_gone, is_new), ...);
    };
    compare_routes(&model::Objects::http_routes, &model::Objects::grpc_routes, &model::Objects::tls_routes,
                   &model::Objects::tcp_routes, &model::Objects::udp_routes);
    const Names changed = changed_services(objects_, objects);
    std::erase_if(routes_, [&](const RoutePtr& route) {
        if (gone.contains(route->spec))
            return true;
        if (!refers_to(*route, changed))
            return false;
        come.push_back(new_route(*route));
        return true;
    });
    std::ranges::sort(come, is_older_route);
    const auto known = static_cast<std::ptrdiff_t>(routes_.size());
    std::ranges::move(come, std::back_inserter(routes_));
    std::ranges::inplace_merge(routes_, routes_.begin() + known, is_older_route);
    objects_ = objects;
    facts_ = facts;
    return routes_;
}

}  // namespace sluice::plan
