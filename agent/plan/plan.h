// SPDX-License-Identifier: Apache-2.0
// What a node has to do, as a value: kernel-forwarded listeners, proxy routes, and every object's status.
// `make_plan` is a pure function: no clock, no descriptor, no log. The same input gives an equal Plan.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/model/objects.h"
#include "agent/model/status.h"
#include "base/ip_address.h"

namespace sluice::plan {

struct NodeFacts {
    std::string name;
    std::string controller_name = "sluice.dev/node-gateway";
    // Addresses of the node's links, loopback and link-local left out. Endpoints there are legal for files.
    std::vector<IpAddress> addresses;
};

enum class Protocol { Tcp, Udp };

// One backendRef and the endpoints behind it.
struct Backend {
    std::string name;          // "namespace/service:port", for status and logs
    std::uint32_t weight = 1;  // of the whole backendRef, never 0: those are left out of the plan
    bool valid = true;         // false: this share is answered 500 (HTTP), reset (TCP), dropped (UDP)
    // The API's reason: BackendNotFound, InvalidKind, RefNotPermitted, UnsupportedProtocol, UnsupportedValue.
    std::string invalid_reason;
    std::vector<SocketAddress> endpoints;  // ready ones, sorted; empty and valid: 503, reset, dropped
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
    std::string name;                      // "namespace/route/rule-index", for status and logs
    std::vector<Backend> backends;         // total weight 0 (or none): every request is answered 500
    std::uint32_t request_timeout_ms = 0;  // 0: none
    std::uint32_t backend_request_timeout_ms = 0;
    bool operator==(const HttpRule&) const = default;
};

// A match and the rule it leads to. `rule` indexes HttpListener::rules. Regular expressions are RE2 with the options in
// agent/plan/regex.h, compile, and match the whole value; of a header or query name no second entry is present.
struct HttpEntry {
    model::HttpMatch match;
    std::uint32_t rule = 0;
    bool operator==(const HttpEntry&) const = default;
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
    std::string name;      // "namespace/gateway/listener"
    std::string hostname;  // lower case; "" every host; may begin with "*."
    std::vector<HttpHost> hosts;
    std::vector<HttpRule> rules;
    bool operator==(const HttpListener&) const = default;
};

// The HTTP listeners that share one port on one set of addresses. The one with the most specific hostname for a
// request serves it, alone; without one the answer is 404.
struct HttpPort {
    std::vector<IpAddress> addresses;  // empty: every address of the node
    std::uint16_t port = 0;
    std::vector<HttpListener> listeners;
    bool operator==(const HttpPort&) const = default;
};

// Ports of one Gateway, or of several that share an address, are free of conflicts here: what clashed is left out.
// Programmed says what the planner knows: that the listener or Gateway is part of the plan, not yet that it is applied.
struct Plan {
    std::vector<IpAddress> addresses;           // of all our Gateways' spec.addresses, sorted: made local on lo
    std::vector<L4Listener> l4;                 // by name
    std::vector<HttpPort> http;                 // by port, then addresses; listeners by name, hosts most specific first
    std::vector<model::ObjectStatus> statuses;  // by key; of our classes, their Gateways and the routes that name these
};

// Immutable once made; shared between the control thread, the workers and the admin thread.
using PlanPtr = std::shared_ptr<const Plan>;

[[nodiscard]] Plan make_plan(const model::Objects& objects, const NodeFacts& facts);

}  // namespace sluice::plan
