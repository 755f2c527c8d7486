// SPDX-License-Identifier: Apache-2.0
// Names: of refusals, and of the fields that belong to one hop.
#include "agent/proxy/http1.h"

#include <algorithm>
#include <array>

#include "agent/proxy/http1_grammar.h"

namespace sluice::proxy::http1 {
namespace {

struct RejectRow {
    int status_code;
    std::string_view reason;
};

RejectRow row_of(Reject reject)
{
    switch (reject) {
    case Reject::None: return {400, "none"};
    case Reject::RequestLine: return {400, "request_line"};
    case Reject::Method: return {501, "method"};
    case Reject::Target: return {400, "target"};
    case Reject::Version: return {505, "version"};
    case Reject::StatusLine: return {400, "status_line"};
    case Reject::HeaderName: return {400, "header_name"};
    case Reject::HeaderValue: return {400, "header_value"};
    case Reject::ObsFold: return {400, "obs_fold"};
    case Reject::BareLineFeed: return {400, "bare_line_feed"};
    case Reject::SpaceBeforeColon: return {400, "space_before_colon"};
    case Reject::HostMissing: return {400, "host_missing"};
    case Reject::HostDuplicate: return {400, "host_duplicate"};
    case Reject::HostInvalid: return {400, "host_invalid"};
    case Reject::ContentLength: return {400, "content_length"};
    case Reject::ContentLengthWithTransferEncoding: return {400, "content_length_with_transfer_encoding"};
    case Reject::TransferEncoding: return {501, "transfer_encoding"};
    case Reject::TransferEncodingVersion: return {400, "transfer_encoding_version"};
    case Reject::RequestLineTooLong: return {414, "request_line_too_long"};
    case Reject::HeaderTooLarge: return {431, "header_too_large"};
    case Reject::HeaderTooMany: return {431, "header_too_many"};
    case Reject::ChunkSize: return {400, "chunk_size"};
    case Reject::ChunkExtension: return {400, "chunk_extension"};
    case Reject::ChunkEnd: return {400, "chunk_end"};
    case Reject::TrailerTooLarge: return {431, "trailer_too_large"};
    }
    return {400, "unknown"};
}

// RFC 9110 section 7.6.1; the proxy's own challenge; Trailer, since trailers are dropped; HTTP2-Settings, since an
// upgrade to h2c is not passed on.
constexpr std::array<std::string_view, 10> kHopByHop{
    "connection",         "keep-alive",          "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    "proxy-authenticate", "proxy-authorization", "http2-settings"};

std::uint64_t to_lower_word(std::uint64_t word)
{
    const std::uint64_t low = word & ~kHighs;  // so that no sum below carries
    const std::uint64_t upper = (low + kOnes * (0x80 - 'A')) & ~(low + kOnes * (0x7f - 'Z')) & ~word & kHighs;
    return word | upper >> 2U;
}

}  // namespace

int status_code(Reject reject) { return row_of(reject).status_code; }
std::string_view reason(Reject reject) { return row_of(reject).reason; }

bool equals_ignoring_case_of_size(const char* a, const char* b, std::size_t size)
{
    constexpr std::size_t kWord = 8;
    if (size < kWord)
        return std::equal(a, a + size, b, [](char x, char y) { return to_lower(x) == to_lower(y); });
    for (std::size_t i = 0; i + kWord < size; i += kWord) {
        if (to_lower_word(load_word(a + i)) != to_lower_word(load_word(b + i)))
            return false;
    }
    return to_lower_word(load_word(a + size - kWord)) == to_lower_word(load_word(b + size - kWord));
}

bool is_hop_by_hop(std::string_view name)
{
    return std::ranges::any_of(kHopByHop, [&](std::string_view each) { return equals_ignoring_case(name, each); });
}

void RequestHead::reset()
{
    method = target = path = query = authority = {};
    minor_version = 1;
    header_count = 0;
    framing = Framing::None;
    keep_alive = true;
    expect_continue = upgrade = false;
    content_length = 0;
}

void ResponseHead::reset()
{
    status = 0;
    reason = {};
    minor_version = 1;
    header_count = 0;
    framing = Framing::None;
    keep_alive = true;
    content_length = 0;
}

const Header* find_field(std::span<const Header> headers, std::string_view name)
{
    for (const Header& header : headers) {
        if (equals_ignoring_case(header.name, name))
            return &header;
    }
    return nullptr;
}

std::string_view value_of(std::span<const Header> headers, std::string_view name)
{
    const Header* field = find_field(headers, name);
    return field == nullptr ? std::string_view{} : field->value;
}

bool names_fields(std::span<const Header> headers)
{
    for (const Header& header : headers) {
        if (!equals_ignoring_case(header.name, "connection"))
            continue;
        for (std::string_view list = header.value; !list.empty();) {
            const std::string_view option = next_element(list);
            // No field is named Close (RFC 9110 section 16.3.1).
            if (!option.empty() && !equals_ignoring_case(option, "close") && !is_hop_by_hop(option))
                return true;
        }
    }
    return false;
}

bool has_token(std::span<const Header> headers, std::string_view name, std::string_view token)
{
    for (const Header& header : headers) {
        if (!equals_ignoring_case(header.name, name))
            continue;
        for (std::string_view list = header.value; !list.empty();) {
            if (equals_ignoring_case(next_element(list), token))
                return true;
        }
    }
    return false;
}

void append_field(std::string& head, std::string_view name, std::string_view value)
{
    append(head, name, ": ", value, "\r\n");
}

}  // namespace sluice::proxy::http1
