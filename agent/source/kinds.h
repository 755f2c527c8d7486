// SPDX-License-Identifier: Apache-2.0
// What a kind that sluice reads is made of: its group, versions and decoder. decode.cc has the table.
#pragma once

#include <array>
#include <string_view>

#include "agent/source/decode.h"
#include "agent/source/reader.h"

namespace sluice::source {

// Decodes what stands beside apiVersion, kind, metadata and status. The result means something only when the report
// holds no fatal problem.
using KindDecoder = AnyObject (*)(Fields& root, model::ObjectMeta meta);

struct Kind {
    std::string_view name;
    std::string_view group;  // "" is core
    std::array<std::string_view, 3> versions;
    bool cluster_scoped;
    bool name_is_label;  // its names are RFC 1123 labels; otherwise subdomains
    bool holds_keys;     // its values are not to be shown
    KindDecoder decode;
};

// Null for a kind that sluice does not read.
[[nodiscard]] const Kind* find_kind(std::string_view name);

[[nodiscard]] AnyObject decode_gateway_class(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_gateway(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_http_route(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_grpc_route(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_tls_route(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_tcp_route(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_udp_route(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_backend_tls_policy(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_reference_grant(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_namespace(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_service(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_endpoint_slice(Fields& root, model::ObjectMeta meta);

[[nodiscard]] AnyObject decode_secret(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_config_map(Fields& root, model::ObjectMeta meta);

[[nodiscard]] AnyObject decode_node_gateway_config(Fields& root, model::ObjectMeta meta);
[[nodiscard]] AnyObject decode_node(Fields& root, model::ObjectMeta meta);

[[nodiscard]] model::ObjectMeta decode_meta(const Value& value, const Kind& kind);

}  // namespace sluice::source
