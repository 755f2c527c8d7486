// SPDX-License-Identifier: Apache-2.0
// What a node has to do, as a value: kernel-forwarded listeners, proxy routes, and every object's status.
// Planning has no clock, no descriptor, no log. The same input gives an equal Plan.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/model/config.h"
#include "agent/model/infrastructure.h"
#include "agent/model/route.h"
#include "agent/model/status.h"
#include "agent/plan/route_room.h"
#include "agent/plan/shared_text.h"
#include "base/ip_address.h"
#include "base/shared.h"

namespace sluice::model {
struct Objects;
}

namespace sluice::plan {

class RouteMemory;

// An address out of a pool. Of one Gateway at a time.
struct PoolAddress {
    IpAddress address;
    std::string gateway;  // "namespace/name"
    // The one node that is to have it; empty where no node may. With Announcement::None every member has it.
    std::string owner;
    model::Announcement announcement = model::Announcement::L2;
    std::vector<std::string> interfaces;  // links to announce it on; none: the uplinks
    bool operator==(const PoolAddress&) const = default;
};

struct NodeFacts {
    std::string name;
    std::string controller_name = "sluice.dev/node-gateway";
    // Addresses of the node's links, loopback and link-local left out. Endpoints there are legal for files.
    std::vector<IpAddress> addresses = {};
    // The objects come from a cluster: other nodes serve them too, and who writes an EndpointSlice is not who runs the
    // node. What follows means something only then.
    bool cluster = false;
    bool is_leader = false;                 // of the members, the one that writes status and gives addresses
    std::vector<std::string> members = {};  // names of the nodes that are ready to serve, this one included
    // The last plan's pool_addresses: the status may not say yet what it gave, and the next one is to give the same.
    std::vector<PoolAddress> assigned = {};
    std::vector<IpAddress> resting = {};  // given up a moment ago; sorted (resting.h)
    RouteEntriesMax route_entries_max = {};
    bool operator==(const NodeFacts&) const = default;
};

enum class Protocol { Tcp, Udp };

// A certificate chain and its key, as in the Secret: well-formed PEM, not yet parsed. Compared by content, so that an
// unchanged one is not loaded again. Never printed, whole or in part.
struct TlsCertificate {
    std::string name;  // "namespace/secret"
    SharedText chain_pem;
    SharedText key_pem;
    bool operator==(const TlsCertificate&) const = default;
};

// Optional asks for a client certificate and goes on with a bad one or none (AllowInsecureFallback); Required ends the
// handshake.
enum class ClientAuth { None, Optional, Required };

// How a listener ends TLS.
struct TlsTermination {
    std::vector<TlsCertificate> certificates;  // never empty; in the order of certificateRefs
    ClientAuth client_auth = ClientAuth::None;
    SharedText client_ca_pem;  // every CA of the references, one after the other; empty with ClientAuth::None
    bool operator==(const TlsTermination&) const = default;
};

// How a backend is spoken to over TLS (BackendTLSPolicy).
struct BackendTls {
    std::string hostname;               // the SNI, and the name verified unless there are SANs
    SharedText ca_pem;                  // empty with system_ca
    bool system_ca = false;             // verify by the system's certificates
    std::vector<std::string> dns_sans;  // may begin with "*."
    std::vector<std::string> uri_sans;  // with either list not empty, one of them must match and hostname need not
    std::optional<TlsCertificate> client_certificate;
    bool operator==(const BackendTls&) const = default;
};

// Http2: the Service's port says kubernetes.io/h2c, or the route is a GRPCRoute.
enum class AppProtocol { Http1, Http2 };

// One backendRef and the endpoints behind it.
struct Backend {
    std::string name;          // "namespace/service:port", for status and logs
    std::uint32_t weight = 1;  // of the whole backendRef, never 0: those are left out of the plan
    bool valid = true;         // false: this share is answered 500 (HTTP), reset (TCP), dropped (UDP)
    // The API's reason: BackendNotFound, InvalidKind, RefNotPermitted, UnsupportedProtocol, UnsupportedValue.
    std::string invalid_reason;
    std::vector<SocketAddress> endpoints;  // ready ones, sorted; empty and valid: 503, reset, dropped
    AppProtocol app_protocol = AppProtocol::Http1;
    Shared<BackendTls> tls;  // null: plain
    bool operator==(const Backend&) const = default;
};

// A TCP or UDP listener with its one serving route (the oldest attached, then by namespace/name).
struct L4Listener {
    std::string name;                  // "namespace/gateway/listener": its identity from plan to plan
    std::vector<IpAddress> addresses;  // empty: every address of the node
    std::uint16_t port = 0;
    Protocol protocol = Protocol::Tcp;
    std::string route;  // "namespace/name", empty without one: every flow is refused
    std::vector<Backend> backends;
    bool operator==(const L4Listener&) const = default;
};

struct HttpRule {
    std::string name;               // "namespace/route/rule-index", for status and logs
    std::vector<Backend> backends;  // total weight 0 (or none): every request is answered 500
    model::Filters filters;
    std::uint32_t request_timeout_ms = 0;  // 0: none
    std::uint32_t backend_request_timeout_ms = 0;
    bool grpc = false;  // of a GRPCRoute: errors of ours are gRPC statuses
    bool operator==(const HttpRule&) const = default;
};

// A match and the rule it leads to, one of HttpListener::rules; neither is null. Paths are canonical
// (base/canonical_path.h), prefixes without the '/' behind them. Regular expressions are RE2 with the options in
// agent/plan/regex.h, compile, and match the whole value; of a header or query name no second entry is present.
struct HttpEntry {
    Shared<model::HttpMatch> match;
    Shared<HttpRule> rule;
    // Rules are compared where they are listed, once each.
    bool operator==(const HttpEntry& other) const { return match == other.match && rule->name == other.rule->name; }
};

// All matches for one hostname of a listener, in Gateway API precedence: the first that matches wins (precedence.h has
// the order). The route's own hostname comes before the path, so a prefix can stand before an exact path.
// A request that matches none of them goes on to the next less specific host of the same listener.
struct HttpHost {
    std::string hostname;  // lower case; "" every host; "*.example.com" one or more labels
    std::vector<HttpEntry> entries;
    bool operator==(const HttpHost&) const = default;
};

struct HttpListener {
    std::string name;            // "namespace/gateway/listener"
    std::string hostname;        // lower case; "" every host; may begin with "*."
    Shared<TlsTermination> tls;  // null: plain HTTP
    std::vector<HttpHost> hosts;
    std::vector<Shared<HttpRule>> rules;
    bool operator==(const HttpListener&) const = default;
};

// The HTTP or the HTTPS listeners that share one port on one set of addresses. The one with the most specific hostname
// for a request serves it, alone; without one the answer is 404. With TLS the certificates and client_auth are those of
// the most specific listener for the SNI; a request whose own listener is another one is misdirected (421).
struct HttpPort {
    std::vector<IpAddress> addresses;  // empty: every address of the node
    std::uint16_t port = 0;
    bool tls = false;  // of all its listeners, or of none
    std::vector<HttpListener> listeners;
    bool operator==(const HttpPort&) const = default;
};

// What a TLS listener does with the connections whose SNI is one of its hosts. Passthrough relays the bytes as they
// are; termination decrypts them and relays the plain bytes.
struct TlsHost {
    std::string listener;                // "namespace/gateway/listener"
    std::string hostname;                // lower case; "" every host; "*.example.com" one or more labels
    std::string route;                   // "namespace/name" of the one serving route; empty without one: refused
    Shared<TlsTermination> termination;  // null: passthrough
    std::vector<Backend> backends;       // total weight 0 (or none), or an invalid share: refused
    bool operator==(const TlsHost&) const = default;
};

// The TLS listeners that share one port on one set of addresses. A connection whose SNI is no host's, or that has
// none and no host is "", is refused: closed after its ClientHello, without an alert. An HttpPort with `tls` may have
// the same port and addresses: then the name that is most specific for the SNI decides, out of the hosts here and the
// hostnames of the HTTPS listeners there; no name is in both.
struct TlsPort {
    std::vector<IpAddress> addresses;  // empty: every address of the node
    std::uint16_t port = 0;
    std::vector<TlsHost> hosts;  // each hostname once, most specific first: the first that covers the SNI serves
    bool operator==(const TlsPort&) const = default;
};

// Ports of one Gateway, or of several that share an address, are free of conflicts here: what clashed is left out.
// Programmed says what the planner knows: that the listener or Gateway is part of the plan, not yet that it is applied.
struct Plan {
    std::vector<IpAddress> addresses;                          // that this node makes local on lo; sorted
    std::vector<PoolAddress> pool_addresses;                   // by address; with those of the other nodes
    std::vector<model::InfrastructureService> infrastructure;  // by namespace and name; only in a cluster
    std::vector<L4Listener> l4;                                // by name
    std::vector<HttpPort> http;            // by port, then addresses; listeners by name, hosts most specific first
    std::vector<TlsPort> tls;              // by port, then addresses
    model::Statuses statuses;              // by key; of our classes, their Gateways and the routes that name these
    std::vector<model::ObjectKey> others;  // routes and policies of no Gateway of ours: we say nothing of them
    bool operator==(const Plan&) const = default;
};

// Immutable once made; shared between the control thread, the workers and the admin thread.
using PlanPtr = std::shared_ptr<const Plan>;

[[nodiscard]] Plan make_plan(const model::Objects& objects, const NodeFacts& facts);

// Makes plans one after the other, each equal to what make_plan gives. What the last one found out about a route is
// kept while the route, the Services that it names and their endpoints are the same objects, and everything else is but
// routes, Services and endpoints. One thread at a time.
class Planner {
public:
    Planner();
    ~Planner();
    Planner(const Planner&) = delete;
    Planner& operator=(const Planner&) = delete;
    [[nodiscard]] Plan plan(const model::Objects& objects, const NodeFacts& facts);

private:
    std::unique_ptr<RouteMemory> routes_;
    std::map<std::string, Shared<BackendTls>> backend_tls_;  // by policy
};

}  // namespace sluice::plan
