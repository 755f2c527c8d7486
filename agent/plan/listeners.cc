// SPDX-License-Identifier: Apache-2.0
// Each listener on its own: protocol, fields that the protocol does not take, and the kinds of route it allows.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "agent/plan/conflicts.h"

namespace sluice::plan {
namespace {

struct ProtocolRow {
    const char* name;
    ListenerProtocol protocol;
    const char* route_kind;
};

constexpr ProtocolRow kProtocols[] = {
    {"HTTP", ListenerProtocol::Http, model::HttpRoute::kKind},
    {"TCP", ListenerProtocol::Tcp, model::TcpRoute::kKind},
    {"UDP", ListenerProtocol::Udp, model::UdpRoute::kKind},
};

Verdict check_fields(const ListenerState& listener, const std::string& field)
{
    const model::Listener& spec = *listener.spec;
    if (spec.port == 0)
        return {"UnsupportedValue", field + ".port is 0; 1 to 65535 is accepted"};
    if (spec.has_tls)
        return {"UnsupportedValue",
                fmt::format("{}.tls is set, but protocol {} takes none; leave it out", field, spec.protocol)};
    if (listener.protocol != ListenerProtocol::Http && !spec.hostname.empty())
        return {"UnsupportedValue", fmt::format("{}.hostname \"{}\" is set, but protocol {} takes none; leave it out",
                                                field, spec.hostname, spec.protocol)};
    return {};
}

void check_kinds(ListenerState& listener, const char* route_kind, const std::string& field)
{
    const model::RouteGroupKind taken{model::kGatewayGroup, route_kind};
    const std::vector<model::RouteGroupKind>& wanted = listener.spec->allowed_routes.kinds;
    if (wanted.empty() || std::ranges::find(wanted, taken) != wanted.end())
        listener.supported_kinds = {taken};
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (wanted[i] == taken)
            continue;
        listener.resolved = {"InvalidRouteKinds",
                             fmt::format("{}.allowedRoutes.kinds[{}]: {}/{} cannot attach to a listener of protocol "
                                         "{}; {}/{} can",
                                         field, i, wanted[i].group, wanted[i].kind, listener.spec->protocol,
                                         taken.group, taken.kind)};
        return;
    }
}

}  // namespace

void check_listeners(GatewayState& gateway)
{
    std::unordered_set<std::string_view> names;
    for (std::size_t i = 0; i < gateway.listeners.size(); ++i) {
        ListenerState& listener = gateway.listeners[i];
        const std::string field = fmt::format("spec.listeners[{}]", i);
        const auto* row = std::ranges::find(kProtocols, listener.spec->protocol, &ProtocolRow::name);
        if (row == std::end(kProtocols)) {
            listener.accepted = {"UnsupportedProtocol",
                                 fmt::format("{}.protocol \"{}\" is not supported; HTTP, TCP and UDP are", field,
                                             listener.spec->protocol)};
            continue;
        }
        listener.protocol = row->protocol;
        check_kinds(listener, row->route_kind, field);
        listener.accepted = check_fields(listener, field);
        if (!names.insert(listener.spec->name).second)
            listener.accepted = {"Invalid", fmt::format("{}.name \"{}\" is already the name of another listener; names "
                                                        "must be unique in a Gateway",
                                                        field, listener.spec->name)};
    }
}

}  // namespace sluice::plan
