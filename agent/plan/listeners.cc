// SPDX-License-Identifier: Apache-2.0
// Each listener on its own: protocol, fields that the protocol does not take, and the kinds of route it allows.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_set>

#include "agent/plan/conflicts.h"

namespace sluice::plan {
namespace {

struct ProtocolRow {
    const char* name;
    ListenerProtocol protocol;
    std::array<const char*, 2> route_kinds;  // the second may be null
    bool has_hostname;
    bool has_tls;
};

constexpr ProtocolRow kProtocols[] = {
    {"HTTP", ListenerProtocol::Http, {model::HttpRoute::kKind, model::GrpcRoute::kKind}, true, false},
    {"HTTPS", ListenerProtocol::Https, {model::HttpRoute::kKind, model::GrpcRoute::kKind}, true, true},
    {"TLS", ListenerProtocol::Tls, {model::TlsRoute::kKind}, true, true},
    {"TCP", ListenerProtocol::Tcp, {model::TcpRoute::kKind}, false, false},
    {"UDP", ListenerProtocol::Udp, {model::UdpRoute::kKind}, false, false},
};

Verdict check_fields(const model::Listener& spec, const ProtocolRow& row, const std::string& field)
{
    using Mode = model::ListenerTls::Mode;
    if (spec.port == 0)
        return {"UnsupportedValue", field + ".port is 0; 1 to 65535 is accepted"};
    if (spec.tls && !row.has_tls)
        return {"UnsupportedValue",
                fmt::format("{}.tls is set, but protocol {} takes none; leave it out", field, spec.protocol)};
    if (row.protocol == ListenerProtocol::Tls && !spec.tls)
        return {"UnsupportedValue", field + ".tls is not set; protocol TLS needs it"};
    if (row.protocol == ListenerProtocol::Https && spec.tls && spec.tls->mode != Mode::Terminate)
        return {"UnsupportedValue", field + ".tls.mode is Passthrough; protocol HTTPS takes Terminate"};
    if (!row.has_hostname && !spec.hostname.empty())
        return {"UnsupportedValue", fmt::format("{}.hostname \"{}\" is set, but protocol {} takes none; leave it out",
                                                field, spec.hostname, spec.protocol)};
    return {};
}

void check_kinds(ListenerState& listener, const ProtocolRow& row, const std::string& field)
{
    std::vector<model::RouteGroupKind> taken;
    std::string accepted;
    for (const char* kind : row.route_kinds) {
        if (kind == nullptr)
            continue;
        taken.push_back({model::kGatewayGroup, kind});
        accepted += fmt::format("{}{}/{}", accepted.empty() ? "" : " and ", model::kGatewayGroup, kind);
    }
    const std::vector<model::RouteGroupKind>& wanted = listener.spec->allowed_routes.kinds;
    for (const model::RouteGroupKind& kind : taken)
        if (wanted.empty() || std::ranges::find(wanted, kind) != wanted.end())
            listener.supported_kinds.push_back(kind);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (std::ranges::find(taken, wanted[i]) != taken.end())
            continue;
        listener.resolved = {"InvalidRouteKinds",
                             fmt::format("{}.allowedRoutes.kinds[{}]: {}/{} cannot attach to a listener of protocol "
                                         "{}; {} can",
                                         field, i, wanted[i].group, wanted[i].kind, listener.spec->protocol, accepted)};
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
                                 fmt::format("{}.protocol \"{}\" is not supported; HTTP, HTTPS, TLS, TCP and UDP are",
                                             field, listener.spec->protocol)};
            continue;
        }
        listener.protocol = row->protocol;
        check_kinds(listener, *row, field);
        listener.accepted = check_fields(*listener.spec, *row, field);
        if (!names.insert(listener.spec->name).second)
            listener.accepted = {"Invalid", fmt::format("{}.name \"{}\" is already the name of another listener; names "
                                                        "must be unique in a Gateway",
                                                        field, listener.spec->name)};
    }
}

}  // namespace sluice::plan
