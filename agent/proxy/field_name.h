// SPDX-License-Identifier: Apache-2.0
// The field names that decide something in a proxy. Each field's name is looked at once; what asks later asks for one
// bit. Pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/proxy/words.h"

namespace sluice::proxy::http1 {

enum class FieldName : std::uint8_t {
    Other,
    Te,
    Host,
    Expect,
    Trailer,
    Upgrade,
    Forwarded,
    Connection,
    KeepAlive,
    ContentType,
    ContentLength,
    Http2Settings,
    XForwardedFor,
    XForwardedHost,
    ProxyConnection,
    TransferEncoding,
    XForwardedProto,
    ProxyAuthenticate,
    ProxyAuthorization,
};

[[nodiscard]] FieldName field_name(std::string_view name);

// Hop-by-hop fields (RFC 9110 section 7.6.1): never forwarded, as are those that Connection names. Also the proxy's own
// challenge; Trailer, since trailers are dropped; HTTP2-Settings, since an upgrade to h2c is not passed on.
[[nodiscard]] constexpr bool is_hop_by_hop(FieldName name);
// Fields of requests that the gateway writes itself: a client's own are never passed on.
[[nodiscard]] constexpr bool is_owned_by_gateway(FieldName name);

namespace field_name_detail {

template <class... Names> [[nodiscard]] consteval std::uint32_t set_of(Names... names)
{
    return (0U | ... | (1U << static_cast<unsigned>(names)));
}

[[nodiscard]] constexpr bool is_in(std::uint32_t set, FieldName name)
{
    return ((set >> static_cast<unsigned>(name)) & 1U) != 0;
}

}  // namespace field_name_detail

constexpr bool is_hop_by_hop(FieldName name)
{
    using enum FieldName;
    return field_name_detail::is_in(field_name_detail::set_of(Te, Trailer, Upgrade, Connection, KeepAlive,
                                                              Http2Settings, ProxyConnection, TransferEncoding,
                                                              ProxyAuthenticate, ProxyAuthorization),
                                    name);
}

constexpr bool is_owned_by_gateway(FieldName name)
{
    using enum FieldName;
    return field_name_detail::is_in(field_name_detail::set_of(Host, Expect, Forwarded, ContentLength, XForwardedFor,
                                                              XForwardedHost, XForwardedProto, TransferEncoding),
                                    name);
}

// The length alone tells most names from all of these.
inline FieldName field_name(std::string_view name)
{
    using enum FieldName;
    switch (name.size()) {
    case 2: return is_named(name, "te") ? Te : Other;
    case 4: return is_named(name, "host") ? Host : Other;
    case 6: return is_named(name, "expect") ? Expect : Other;
    case 7: return is_named(name, "trailer") ? Trailer : is_named(name, "upgrade") ? Upgrade : Other;
    case 9: return is_named(name, "forwarded") ? Forwarded : Other;
    case 10: return is_named(name, "connection") ? Connection : is_named(name, "keep-alive") ? KeepAlive : Other;
    case 12: return is_named(name, "content-type") ? ContentType : Other;
    case 14:
        return is_named(name, "content-length")   ? ContentLength
               : is_named(name, "http2-settings") ? Http2Settings
                                                  : Other;
    case 15: return is_named(name, "x-forwarded-for") ? XForwardedFor : Other;
    case 16:
        return is_named(name, "x-forwarded-host")   ? XForwardedHost
               : is_named(name, "proxy-connection") ? ProxyConnection
                                                    : Other;
    case 17:
        return is_named(name, "transfer-encoding")   ? TransferEncoding
               : is_named(name, "x-forwarded-proto") ? XForwardedProto
                                                     : Other;
    case 18: return is_named(name, "proxy-authenticate") ? ProxyAuthenticate : Other;
    case 19: return is_named(name, "proxy-authorization") ? ProxyAuthorization : Other;
    default: return Other;
    }
}

}  // namespace sluice::proxy::http1
