// SPDX-License-Identifier: Apache-2.0
// Names of refusals, and fields by their names.
#include "agent/proxy/http1.h"

#include <algorithm>

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

}  // namespace

int status_code(Reject reject) { return row_of(reject).status_code; }
std::string_view reason(Reject reject) { return row_of(reject).reason; }

bool equals_ignoring_case_of_size(const char* a, const char* b, std::size_t size)
{
    if (size < kWordBytes)
        return std::equal(a, a + size, b, [](char x, char y) { return to_lower(x) == to_lower(y); });
    for (std::size_t i = 0; i + kWordBytes < size; i += kWordBytes) {
        if (to_lower_word(load_word(a + i)) != to_lower_word(load_word(b + i)))
            return false;
    }
    return to_lower_word(load_word(a + size - kWordBytes)) == to_lower_word(load_word(b + size - kWordBytes));
}

void RequestHead::reset()
{
    method = target = path = query = authority = {};
    minor_version = 1;
    header_count = 0;
    framing = Framing::None;
    keep_alive = true;
    names_fields = expect_continue = upgrade = false;
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
    names_fields = false;
    content_length = 0;
}

const Header* find_field(std::span<const Header> headers, FieldName name)
{
    for (const Header& header : headers) {
        if (header.known == name)
            return &header;
    }
    return nullptr;
}

std::string_view value_of(std::span<const Header> headers, FieldName name)
{
    const Header* field = find_field(headers, name);
    return field == nullptr ? std::string_view{} : field->value;
}

std::string_view value_of(std::span<const Header> headers, std::string_view name)
{
    for (const Header& header : headers) {
        if (equals_ignoring_case(header.name, name))
            return header.value;
    }
    return {};
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

}  // namespace sluice::proxy::http1
