// SPDX-License-Identifier: Apache-2.0
// The API's rules for single strings, as checks for Value::string(): names, hostnames, paths, header names, durations.
// Each returns what is wrong and what would be accepted. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/source/reader.h"

namespace sluice::source {

[[nodiscard]] Fault dns_label(std::string_view text);      // RFC 1123 label, 63 characters at most
[[nodiscard]] Fault dns_subdomain(std::string_view text);  // RFC 1123 subdomain, 253 characters at most
[[nodiscard]] Fault group_name(std::string_view text);     // "" (core) or a subdomain
[[nodiscard]] Fault kind_name(std::string_view text);
[[nodiscard]] Fault object_name(std::string_view text);  // of a reference: 1 to 253 characters
[[nodiscard]] Fault hostname(std::string_view text);     // may begin with "*."; no IP address
[[nodiscard]] Fault listener_protocol(std::string_view text);
[[nodiscard]] Fault controller_name(std::string_view text);
[[nodiscard]] Fault timestamp(std::string_view text);     // RFC 3339 in UTC, as the API server writes it
[[nodiscard]] Fault plain_path(std::string_view text);    // of path matches Exact and PathPrefix
[[nodiscard]] Fault header_name(std::string_view text);   // RFC 9110 token; query parameters follow the same rule
[[nodiscard]] Fault path_prefix(std::string_view text);   // that replaces a matched one
[[nodiscard]] Fault header_value(std::string_view text);  // of matches
[[nodiscard]] Fault field_value(std::string_view text);   // that is written into heads (RFC 9110 section 5.5)
[[nodiscard]] Fault query_value(std::string_view text);
[[nodiscard]] Fault duration(std::string_view text);  // GEP-2257
[[nodiscard]] Fault grpc_service(std::string_view text);
[[nodiscard]] Fault grpc_method(std::string_view text);
[[nodiscard]] Fault absolute_uri(std::string_view text);   // RFC 3986, with a scheme and an authority
[[nodiscard]] Fault well_known_ca(std::string_view text);  // System or a domain-prefixed name
[[nodiscard]] Fault endpoint_address(std::string_view text);

// Of a text that passed duration(). Saturates at the type's end, which is 49 days.
[[nodiscard]] std::uint32_t duration_ms(std::string_view text);

}  // namespace sluice::source
