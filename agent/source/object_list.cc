// SPDX-License-Identifier: Apache-2.0
#include "agent/source/object_list.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace sluice::source {
namespace {

// Calls `visitor` with each of the lists.
template <class Visitor> void for_each_list(model::Objects& objects, Visitor visitor)
{
    std::apply([&](auto&... lists) { (visitor(lists), ...); },
               std::tie(objects.gateway_classes, objects.gateways, objects.http_routes, objects.grpc_routes,
                        objects.tls_routes, objects.tcp_routes, objects.udp_routes, objects.backend_tls_policies,
                        objects.reference_grants, objects.namespaces, objects.services, objects.endpoint_slices,
                        objects.secrets, objects.config_maps, objects.node_gateway_configs, objects.nodes));
}

template <class T> auto find_place(const model::SharedList<T>& list, const std::string& ns, const std::string& name)
{
    const auto wanted = std::tie(ns, name);
    const auto is_before = [](const T& object, const auto& place) {
        return std::tie(object.meta.ns, object.meta.name) < place;
    };
    if (list.empty() || is_before(list.back(), wanted))
        return list.end();
    return std::lower_bound(list.begin(), list.end(), wanted, is_before);
}

template <class T> void put_into(model::SharedList<T>& list, T object, std::int64_t generation)
{
    object.meta.generation = generation;
    const auto place = find_place(list, object.meta.ns, object.meta.name);
    const bool is_there =
        place != list.end() && place->meta.ns == object.meta.ns && place->meta.name == object.meta.name;
    if (is_there)
        list.replace(static_cast<std::size_t>(place - list.begin()), std::move(object));
    else
        list.insert(place, std::move(object));
}

}  // namespace

void put(model::Objects& objects, const AnyObject& object, std::int64_t generation)
{
    std::visit(
        [&]<class T>(const T& each) {
            for_each_list(objects, [&](auto& list) {
                if constexpr (std::is_same_v<typename std::decay_t<decltype(list)>::value_type, T>)
                    put_into(list, each, generation);
            });
        },
        object);
}

void remove(model::Objects& objects, const model::ObjectKey& key)
{
    for_each_list(objects, [&](auto& list) {
        if (key.kind != std::decay_t<decltype(list)>::value_type::kKind)
            return;
        const auto place = find_place(list, key.ns, key.name);
        if (place != list.end() && place->meta.ns == key.ns && place->meta.name == key.name)
            list.erase(place);
    });
}

}  // namespace sluice::source
