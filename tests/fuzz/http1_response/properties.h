// SPDX-License-Identifier: Apache-2.0
// What holds for every input of the response parser, for the fuzzer and for the replay of its corpus. An input is a
// response head with what follows it.
#pragma once

#include <span>
#include <string_view>

#include "agent/proxy/http1.h"
#include "tests/fuzz/http1_request/chunked_properties.h"

namespace sluice::proxy::http1::fuzz {

constexpr HeadLimits kResponseLimits{.bytes_max = 1024, .line_bytes_max = 256, .count_max = 20};

inline const char* check_complete(std::string_view input, std::string_view method, const ResponseHead& head,
                                  const ParseResult& result)
{
    const std::string_view bytes = input.substr(0, result.head_bytes);
    if (result.head_bytes > kResponseLimits.bytes_max || result.head_bytes > input.size() ||
        !bytes.ends_with("\r\n\r\n"))
        return "a head ends elsewhere than at an empty line within the limit";
    if (head.status < 100 || head.status > 599 || head.header_count > kResponseLimits.count_max)
        return "a limit was passed";
    for (const Header& header : std::span(head.headers, head.header_count)) {
        if (header.name.empty() || header.name.find_first_of(" \t\r\n:") != std::string_view::npos ||
            header.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
            return "a field holds what would be read otherwise further on";
    }
    const bool is_bodiless = method == "HEAD" || head.status < 200 || head.status == 204 || head.status == 304;
    if (is_bodiless != (head.framing == Framing::None))
        return "a body where none may be, or none where one must be";
    if (head.framing == Framing::UntilClose && head.keep_alive)
        return "a connection is kept behind a body that ends with it";
    return head.framing == Framing::Chunked ? check_chunked(input.substr(result.head_bytes)) : nullptr;
}

// Nullptr, or the property that does not hold.
inline const char* violated_property_of_response(std::string_view input, std::string_view method)
{
    ResponseHead head;
    const ParseResult result = parse_response(input, kResponseLimits, method, head);
    if ((result.status == Status::Invalid) != (result.reject != Reject::None))
        return "refused without a reason, or the other way round";
    if (result.status == Status::Complete)
        if (const char* violated = check_complete(input, method, head, result))
            return violated;
    if (result.status == Status::Incomplete && input.size() >= kResponseLimits.bytes_max)
        return "more than the limit is waited for";
    const std::size_t end = result.status == Status::Complete ? result.head_bytes : input.size();
    const std::size_t step = 1 + end / 64;
    for (std::size_t length = 0; length < end; length += step) {
        ResponseHead part;
        const Status status = parse_response(input.substr(0, length), kResponseLimits, method, part).status;
        if (status == Status::Complete || (status == Status::Invalid && result.status != Status::Invalid))
            return "a part of a head is judged otherwise than the whole";
    }
    return nullptr;
}

}  // namespace sluice::proxy::http1::fuzz
