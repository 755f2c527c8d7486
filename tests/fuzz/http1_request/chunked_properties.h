// SPDX-License-Identifier: Apache-2.0
// What holds for every chunked body: it is read alike whole and byte by byte.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "agent/proxy/http1.h"

namespace sluice::proxy::http1::fuzz {

struct ChunkedOutcome {
    Status status = Status::Incomplete;
    Reject reject = Reject::None;
    std::size_t consumed = 0;
    std::string data;
    bool operator==(const ChunkedOutcome&) const = default;
};

inline ChunkedOutcome decode_chunked(std::string_view input, std::size_t piece)
{
    ChunkedDecoder decoder;
    ChunkedOutcome outcome;
    while (outcome.status == Status::Incomplete && outcome.consumed < input.size()) {
        const auto step = decoder.next(input.substr(outcome.consumed, piece));
        outcome.status = step.status;
        outcome.reject = step.reject;
        outcome.consumed += step.consumed;
        outcome.data += step.data;
        if (step.status == Status::Incomplete && step.consumed == 0)
            break;
    }
    return outcome;
}

// Nullptr, or the property that does not hold.
inline const char* check_chunked(std::string_view input)
{
    const ChunkedOutcome whole = decode_chunked(input, input.size());
    if ((whole.status == Status::Invalid) != (whole.reject != Reject::None))
        return "a chunk is refused without a reason, or the other way round";
    if (whole.status == Status::Incomplete && whole.consumed != input.size())
        return "a chunked body stops before its end";
    if (whole.status == Status::Complete && !input.substr(0, whole.consumed).ends_with("\r\n"))
        return "a chunked body ends without CR LF";
    return decode_chunked(input, 1) == whole ? nullptr : "a chunked body is read otherwise in pieces";
}

}  // namespace sluice::proxy::http1::fuzz
