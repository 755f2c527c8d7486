// SPDX-License-Identifier: Apache-2.0
// HTTPRoute, GRPCRoute, TLSRoute, TCPRoute and UDPRoute as plain values, the API's defaults already applied.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/model/filter.h"
#include "agent/model/meta.h"

namespace sluice::model {

enum class PathMatchType { Exact, PathPrefix, RegularExpression };
enum class ValueMatchType { Exact, RegularExpression };

struct PathMatch {
    PathMatchType type = PathMatchType::PathPrefix;
    std::string value = "/";
    bool operator==(const PathMatch&) const = default;
};

struct ValueMatch {  // of a header (name without case) or a query parameter (name with case)
    ValueMatchType type = ValueMatchType::Exact;
    std::string name;
    std::string value;
    bool operator==(const ValueMatch&) const = default;
};

struct HttpMatch {
    PathMatch path;
    std::vector<ValueMatch> headers;
    std::vector<ValueMatch> query_params;
    std::string method;  // empty: every method
    bool operator==(const HttpMatch&) const = default;
};

struct HttpRouteRule {
    std::string name;
    std::vector<HttpMatch> matches;  // never empty: the decoder adds the default match, prefix "/"
    Filters filters;
    std::vector<BackendRef> backend_refs;
    std::optional<std::uint32_t> request_timeout_ms;  // timeouts.request; 0 disables
    std::optional<std::uint32_t> backend_request_timeout_ms;
};

struct RouteCommon {
    ObjectMeta meta;
    std::vector<ParentReference> parent_refs;
};

struct HttpRoute : RouteCommon {
    static constexpr const char* kKind = "HTTPRoute";
    std::vector<std::string> hostnames;
    std::vector<HttpRouteRule> rules;  // never empty: the decoder adds the default rule
};

struct GrpcMethodMatch {
    ValueMatchType type = ValueMatchType::Exact;
    std::string service;  // empty: every one
    std::string method;   // empty: every one
    bool operator==(const GrpcMethodMatch&) const = default;
};

struct GrpcMatch {
    GrpcMethodMatch method;
    std::vector<ValueMatch> headers;
};

struct GrpcRouteRule {
    std::string name;
    std::vector<GrpcMatch> matches;  // never empty: the decoder adds the default match, every request
    Filters filters;
    std::vector<BackendRef> backend_refs;
};

struct GrpcRoute : RouteCommon {
    static constexpr const char* kKind = "GRPCRoute";
    std::vector<std::string> hostnames;
    std::vector<GrpcRouteRule> rules;  // never empty: the decoder adds the default rule
};

// TCPRoute, UDPRoute and TLSRoute have one rule of backends.
struct L4Route : RouteCommon {
    std::string rule_name;
    std::vector<BackendRef> backend_refs;
};

struct TcpRoute : L4Route {
    static constexpr const char* kKind = "TCPRoute";
};

struct UdpRoute : L4Route {
    static constexpr const char* kKind = "UDPRoute";
};

struct TlsRoute : L4Route {
    static constexpr const char* kKind = "TLSRoute";
    std::vector<std::string> hostnames;  // of the ClientHello's server name
};

}  // namespace sluice::model
