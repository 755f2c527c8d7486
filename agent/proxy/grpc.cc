// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/grpc.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace sluice::proxy::grpc {
namespace {

// grpc/doc/http-grpc-status-mapping.md, but 500 and 504, which are the gateway's own here: GRPCRoute asks for
// UNAVAILABLE where no backend is valid, and an expired deadline has its own code.
struct Code {
    std::string_view status;
    std::string_view message;
};
Code code_of(int http_status)
{
    switch (http_status) {
    case 400:
    case 431: return {"13", "the request is malformed or too large"};
    case 404: return {"12", "no route matches"};
    case 421: return {"14", "the connection is not for this host"};
    case 500: return {"14", "no valid backend"};
    case 502: return {"14", "the backend failed"};
    case 503: return {"14", "no backend can be reached"};
    case 504: return {"4", "the deadline is over"};
    default: return {"2", "refused by the gateway"};
    }
}

}  // namespace

bool is_grpc(std::span<const http1::Header> headers)
{
    constexpr std::string_view kType = "application/grpc";
    const std::string_view type = http1::value_of(headers, http1::FieldName::ContentType);
    return type.size() >= kType.size() && http1::equals_ignoring_case(type.substr(0, kType.size()), kType) &&
           (type.size() == kType.size() || type[kType.size()] == '+' || type[kType.size()] == ';');
}

std::uint32_t timeout_ms(std::span<const http1::Header> headers)
{
    constexpr std::size_t kDigitsMax = 8;
    const std::string_view text = http1::value_of(headers, "grpc-timeout");
    if (text.size() < 2 || text.size() > kDigitsMax + 1)
        return 0;
    std::uint64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size() - 1, value);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() - 1)
        return 0;
    switch (text.back()) {
    case 'H': value *= 3'600'000; break;
    case 'M': value *= 60'000; break;
    case 'S': value *= 1'000; break;
    case 'm': break;
    case 'u': value /= 1'000; break;
    case 'n': value /= 1'000'000; break;
    default: return 0;
    }
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(value, 1, std::numeric_limits<std::uint32_t>::max()));
}

void fill_error(http1::ResponseHead& head, int http_status)
{
    const Code code = code_of(http_status);
    head.reset();
    head.status = 200;
    head.reason = "OK";
    head.headers[0] = {"content-type", "application/grpc"};
    head.headers[1] = {"grpc-status", code.status};
    head.headers[2] = {"grpc-message", code.message};
    head.header_count = 3;
}

}  // namespace sluice::proxy::grpc
