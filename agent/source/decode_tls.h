// SPDX-License-Identifier: Apache-2.0
// The TLS fields of a Gateway, for its decoder.
#pragma once

#include <optional>
#include <string>

#include "agent/model/gateway.h"
#include "agent/source/reader.h"

namespace sluice::source {

[[nodiscard]] std::optional<model::ListenerTls> decode_listener_tls(const Value& value, const std::string& protocol);
[[nodiscard]] model::GatewayTls decode_gateway_tls(const Value& value);

}  // namespace sluice::source
