// SPDX-License-Identifier: Apache-2.0
// What a proxy must know of gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md): its errors travel as trailers, its deadline
// in a field of its own.
#pragma once

#include <cstdint>
#include <span>

#include "agent/proxy/http1.h"

namespace sluice::proxy::grpc {

[[nodiscard]] bool is_grpc(std::span<const http1::Header> headers);
// `grpc-timeout` in milliseconds, at least 1; 0: none, or not as the protocol has it.
[[nodiscard]] std::uint32_t timeout_ms(std::span<const http1::Header> headers);
// A response without a body that says what an answer of `http_status` means to a gRPC client.
void fill_error(http1::ResponseHead& head, int http_status);

}  // namespace sluice::proxy::grpc
