// SPDX-License-Identifier: Apache-2.0
// What nghttp2 is told of a session: whom to call, and what a peer may do. Only for http2_session.cc.
#pragma once

#include <nghttp2/nghttp2.h>

#include <string_view>

#include "agent/proxy/http2_session.h"

namespace sluice::proxy {

constexpr std::size_t kHttp2OutputMax = 64 * 1024;  // gathered for one send
constexpr std::uint32_t kHttp2StreamsMax = 100;     // that a peer may have open

// Both are made once, and live as long as the process. A session's user data is the Http2Session.
[[nodiscard]] const nghttp2_session_callbacks* http2_callbacks();
[[nodiscard]] const nghttp2_option* http2_options(Http2Session::Side side);

// What the stream has to send, as nghttp2 asks for it.
[[nodiscard]] nghttp2_data_provider2 http2_output_of(Http2Stream& stream);

// Views, which nghttp2 copies when the field is submitted, the name in lower case.
[[nodiscard]] nghttp2_nv http2_field(std::string_view name, std::string_view value);
// The same with a name in lower case that lives as long as the process.
[[nodiscard]] nghttp2_nv http2_field_of_literal(std::string_view name, std::string_view value);
[[nodiscard]] inline std::string_view http2_view(const std::uint8_t* data, std::size_t size)
{
    return {reinterpret_cast<const char*>(data), size};
}

}  // namespace sluice::proxy
