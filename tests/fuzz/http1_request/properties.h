// SPDX-License-Identifier: Apache-2.0
// What holds for every input of the request parser, whatever the bytes: for the fuzzer and for the replay of its
// corpus. An input is a request head with what follows it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "agent/proxy/router.h"
#include "tests/fuzz/http1_request/chunked_properties.h"

namespace sluice::proxy::http1::fuzz {

constexpr HeadLimits kRequestLimits{.bytes_max = 1024, .line_bytes_max = 256, .count_max = 20};

inline bool lies_within(std::string_view part, std::string_view whole)
{
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// Of a path that is canonical, nothing is left that a backend could read in two ways, and it is its own canonical form.
inline const char* check_canonical(std::string_view path)
{
    std::string buffer(path.size(), '\0');
    const auto canonical = canonical_path(path, buffer);
    if (!canonical)
        return nullptr;
    if (canonical->size() > path.size())
        return "a canonical path is longer than the path";
    if (canonical_path(*canonical, {}) != *canonical)
        return "a canonical path has another canonical form";
    for (const std::string_view part : {"//", "/./", "/../", "\\", "#", "?", "%2F", "%5C", "%00"}) {
        if (canonical->find(part) != std::string_view::npos)
            return "a canonical path holds what it must not";
    }
    return nullptr;
}

inline const char* check_complete(std::string_view input, const RequestHead& head, const ParseResult& result)
{
    const std::string_view bytes = input.substr(0, result.head_bytes);
    if (result.head_bytes > kRequestLimits.bytes_max || result.head_bytes > input.size() ||
        !bytes.ends_with("\r\n\r\n"))
        return "a head ends elsewhere than at an empty line within the limit";
    if (head.header_count > kRequestLimits.count_max || head.target.size() > kRequestLimits.line_bytes_max)
        return "a limit was passed";
    if (!lies_within(head.method, bytes) || !lies_within(head.target, bytes) || !lies_within(head.authority, bytes))
        return "a view leaves the head";
    for (const Header& header : std::span(head.headers, head.header_count)) {
        if (header.name.empty() || !lies_within(header.name, bytes) || !lies_within(header.value, bytes))
            return "a field leaves the head";
        if (header.name.find_first_of(" \t\r\n:_") != std::string_view::npos ||
            header.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
            return "a field holds what would be read otherwise further on";
    }
    if (head.path.empty() || (head.path[0] != '/' && head.path != "*"))
        return "a path does not begin at the root";
    if (head.framing != Framing::Length && head.content_length != 0)
        return "a length without the framing";
    return head.framing == Framing::Chunked ? check_chunked(input.substr(result.head_bytes))
                                            : check_canonical(head.path);
}

// Nullptr, or the property that does not hold.
inline const char* violated_property(std::string_view input)
{
    RequestHead head;
    const ParseResult result = parse_request(input, kRequestLimits, head);
    if ((result.status == Status::Invalid) != (result.reject != Reject::None))
        return "refused without a reason, or the other way round";
    if (result.status == Status::Complete)
        if (const char* violated = check_complete(input, head, result))
            return violated;
    if (result.status == Status::Incomplete && input.size() >= kRequestLimits.bytes_max)
        return "more than the limit is waited for";
    // Bytes may arrive in any pieces: less of a good head is incomplete, more of a bad one stays bad.
    const std::size_t end = result.status == Status::Complete ? result.head_bytes : input.size();
    const std::size_t step = 1 + end / 64;
    for (std::size_t length = 0; length < end; length += step) {
        RequestHead part;
        const Status status = parse_request(input.substr(0, length), kRequestLimits, part).status;
        if (status == Status::Complete || (status == Status::Invalid && result.status != Status::Invalid))
            return "a part of a head is judged otherwise than the whole";
    }
    return nullptr;
}

}  // namespace sluice::proxy::http1::fuzz
