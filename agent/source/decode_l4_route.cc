// SPDX-License-Identifier: Apache-2.0
// Decoders of TCPRoute, UDPRoute and TLSRoute, with the rules that their CRDs state.
#include "agent/source/kinds.h"
#include "agent/source/route_parts.h"
#include "agent/source/validate.h"

namespace sluice::source {
namespace {

void decode_rule_and_parents(Fields& spec, model::L4Route& route)
{
    route.parent_refs = decode_parent_refs(spec["parentRefs"]);
    for (const Value& value : spec["rules"].required().list(1, 1)) {
        Fields rule(value);
        route.rule_name = rule["name"].string(dns_subdomain);
        route.backend_refs = decode_backend_refs(rule["backendRefs"].required(), 1, FilterSet::None);
    }
    spec.not_acted_on({"useDefaultGateways"});
}

template <class Route> AnyObject decode_l4_route(Fields& root, model::ObjectMeta meta)
{
    Route object;
    object.meta = std::move(meta);
    Fields spec(root["spec"].required());
    decode_rule_and_parents(spec, object);
    return object;
}

}  // namespace

AnyObject decode_tcp_route(Fields& root, model::ObjectMeta meta)
{
    return decode_l4_route<model::TcpRoute>(root, std::move(meta));
}

AnyObject decode_udp_route(Fields& root, model::ObjectMeta meta)
{
    return decode_l4_route<model::UdpRoute>(root, std::move(meta));
}

// In v1 a TLSRoute must say which names it is for; before, none meant every name.
AnyObject decode_tls_route(Fields& root, model::ObjectMeta meta)
{
    constexpr std::size_t kHostnamesMax = 1024;
    model::TlsRoute object;
    object.meta = std::move(meta);
    Fields spec(root["spec"].required());
    const Value api_version = root["apiVersion"];
    const bool needs_hostname = api_version.node() != nullptr && api_version.node()->text.ends_with("/v1");
    const Value hostnames = spec["hostnames"];
    if (needs_hostname)
        hostnames.required();
    object.hostnames = decode_hostnames(hostnames, needs_hostname ? 1 : 0, kHostnamesMax);
    decode_rule_and_parents(spec, object);
    return object;
}

}  // namespace sluice::source
