// SPDX-License-Identifier: Apache-2.0
// The planner's working values: our Gateways, their listeners and the routes that name them, each with a pointer to
// the object it came from. They live for one plan, on the caller's thread; routes as long as RouteMemory says.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/objects.h"
#include "agent/plan/plan.h"

namespace sluice::plan {

// One condition's outcome. An empty reason is the good case.
struct Verdict {
    std::string reason;
    std::string message;
    [[nodiscard]] bool ok() const { return reason.empty(); }
};

// One rule of a route, ready to be copied into the plan.
struct RuleState {
    // HTTPRoute, GRPCRoute
    std::vector<Shared<model::HttpMatch>> matches;  // repeated header and query names dropped
    std::vector<model::GrpcMethodMatch> methods;    // GRPCRoute: what each of `matches` was made of
    Shared<HttpRule> http;
    // The other kinds
    std::vector<Backend> backends;           // those with a weight
    std::vector<Backend> backends_over_tls;  // TLSRoute: the same, where the listener ends TLS
};

struct ParentState {
    model::ParentReference ref;  // namespace filled in
    Verdict accepted;
    std::string accepted_note;  // what to say beside Accepted=True
};

// A hostname to serve a route under, and the route's own hostname that led there ("" without one).
struct ServedHost {
    std::string hostname;
    std::string route_hostname;
};

// What a route got on a listener.
enum class Claim : std::uint8_t {
    Granted,
    Taken,   // an older route of another kind has one of the hosts
    NoRoom,  // RouteRoom; of these a route keeps the first alone, without hosts
};

// A listener that a parentRef of a route leads to, by its place among our Gateways.
struct Reach {
    std::size_t gateway = 0;
    std::size_t listener = 0;
    std::vector<ServedHost> hosts;  // of the kinds that have hostnames
    std::size_t entries = 0;        // that it asks for (RouteRoom)
    Claim claim = Claim::Taken;
};

// The object of a route.
struct RouteSpec {
    const char* kind = "";
    const model::RouteCommon* spec = nullptr;
    const model::HttpRoute* http = nullptr;               // set for an HTTPRoute
    const model::GrpcRoute* grpc = nullptr;               // set for a GRPCRoute
    const model::L4Route* l4 = nullptr;                   // set for a TCPRoute, UDPRoute or TLSRoute
    const std::vector<std::string>* hostnames = nullptr;  // set for the kinds that have them
};

// What was found out about a route.
struct RouteState : RouteSpec {
    bool is_new = true;                // nothing yet
    std::vector<ParentState> parents;  // those that name a Gateway of ours; with none there is nothing more to know
    Verdict supported;                 // not ok: no rule of it can be served, so none of it is
    std::string dropped;               // PartiallyInvalid's message; empty: each rule is served as it is written
    Verdict resolved;                  // ResolvedRefs, the same for every parent
    std::vector<RuleState> rules;
    std::vector<Reach> reached;
    std::vector<const model::Service*> policy_targets;  // backends that a BackendTLSPolicy has as a target
    Shared<model::ObjectStatus> status;
};

struct Attachment {
    const RouteState* route = nullptr;
    const std::vector<ServedHost>* hosts = nullptr;  // of the route's `reached`
};

enum class ListenerProtocol { None, Http, Https, Tls, Tcp, Udp };  // None: not one that is served

struct ListenerState {
    const model::Listener* spec = nullptr;
    std::string name;      // "namespace/gateway/listener"
    std::string hostname;  // lower case
    ListenerProtocol protocol = ListenerProtocol::None;
    std::vector<model::RouteGroupKind> supported_kinds;
    Verdict accepted;
    Verdict conflict;  // Conflicted=True when not ok; `accepted` then says the same
    Verdict resolved;
    Shared<TlsTermination> termination;        // HTTPS, and TLS that is not passed through
    bool usable = true;                        // false: it would end TLS, and has no certificate for it
    bool served = false;                       // part of the plan
    std::vector<Attachment> attachments;       // oldest route first
    const RouteState* granted_last = nullptr;  // the route that is being attached, if this one is its already
};

struct GatewayState {
    const model::Gateway* spec = nullptr;
    Verdict parameters;  // InvalidParameters: nothing of this Gateway is served
    // With pools: the addresses come out of these. Null: there are none, and those of the node are served.
    const model::NodeGatewayConfig* pools = nullptr;
    Verdict address_types;             // UnsupportedAddress
    Verdict address_values;            // AddressNotUsable, AddressNotAssigned
    std::vector<IpAddress> addresses;  // of its own, sorted; with none in the spec and no pools: every one of the node
    std::vector<model::GatewayAddress> status_addresses;
    Verdict resolved;                                   // of references that are not a listener's
    std::optional<TlsCertificate> backend_certificate;  // shown to backends that are spoken to over TLS
    std::vector<ListenerState> listeners;

    // False: it serves on the addresses of the node, whatever they are.
    [[nodiscard]] bool has_own_addresses() const { return pools != nullptr || !spec->addresses.empty(); }
    [[nodiscard]] bool serves() const { return parameters.ok() && (!has_own_addresses() || !addresses.empty()); }
};

// "namespace/name".
[[nodiscard]] inline std::string full_name(const model::ObjectMeta& meta) { return meta.ns + "/" + meta.name; }

// The API's order of age: the older timestamp first, then by "namespace/name". That is one text: "team-a/b" is before
// "team/a".
[[nodiscard]] inline std::strong_ordering order_of_age(const model::ObjectMeta& a, const model::ObjectMeta& b)
{
    if (const auto order = a.creation_timestamp <=> b.creation_timestamp; order != 0)
        return order;
    return a.ns == b.ns ? a.name <=> b.name : full_name(a) <=> full_name(b);
}

[[nodiscard]] inline bool is_older(const model::ObjectMeta& a, const model::ObjectMeta& b)
{
    return order_of_age(a, b) < 0;
}

// An index key for a namespaced object, pointing into the model.
struct NameView {
    std::string_view ns;
    std::string_view name;
    bool operator==(const NameView&) const = default;
};

struct NameViewHash {
    [[nodiscard]] std::size_t operator()(const NameView& key) const
    {
        const std::hash<std::string_view> hash;
        return hash(key.ns) * 31 + hash(key.name);
    }
};

}  // namespace sluice::plan
