// SPDX-License-Identifier: Apache-2.0
// The field lines of a message head, read in place.
#include <algorithm>
#include <experimental/simd>
#include <limits>

#include "agent/proxy/http1_grammar.h"
#include "base/ip_address.h"

namespace sluice::proxy::http1 {
namespace {

constexpr std::uint8_t kConnectionOptionsMax =
    32;  // of all Connection fields: each is compared with every field's name
constexpr std::size_t kAuthorityBytesMax = 254 + 1 + 5;  // a name with its trailing dot, ':', a port

namespace simd = std::experimental;
using Block = simd::fixed_size_simd<std::uint8_t, 16>;

// The first byte from `at` on that is not `wanted`. `may_differ(block)` is a mask: whose bit is clear surely is.
template <class MayDiffer>
[[gnu::always_inline]] inline const char* find_end(const char* at, const char* end, CharClass wanted,
                                                   const MayDiffer& may_differ)
{
    while (end - at >= static_cast<std::ptrdiff_t>(Block::size())) {
        const auto doubtful = may_differ(Block(reinterpret_cast<const std::uint8_t*>(at), simd::element_aligned));
        if (simd::none_of(doubtful)) {
            at += Block::size();
            continue;
        }
        at += simd::find_first_set(doubtful);
        if (!is(*at, wanted))
            return at;
        ++at;
    }
    while (at != end && is(*at, wanted))
        ++at;
    return at;
}

const char* host_end(const char* at, const char* end)
{
    return find_end(at, end, kHost, [](const Block& bytes) {
        const Block from_a = (bytes | 0x20) - int{'a'};
        const Block from_dash = bytes - int{'-'};  // "-./" and the digits
        return from_a > 'z' - 'a' && (from_dash > '9' - '-' || bytes == int{'/'});
    });
}

std::string_view trim(std::string_view text)
{
    const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_space(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_space(text.back()))
        text.remove_suffix(1);
    return text;
}

bool is_port(std::string_view text)
{
    unsigned port = 0;
    for (const char c : text.substr(0, 6)) {
        if (!is_digit(c))
            return false;
        port = port * 10 + static_cast<unsigned>(c - '0');
    }
    return text.size() <= 5 && port <= 65535;
}

[[gnu::noinline]] Reject note_content_length(std::string_view value, Fields& fields)
{
    if (fields.has_length)
        return value == fields.length_text ? Reject::None : Reject::ContentLength;
    // Half the range is kept free, so that sums of lengths cannot wrap.
    constexpr std::uint64_t kLengthMax = std::numeric_limits<std::int64_t>::max();
    std::uint64_t length = 0;
    for (const char c : value) {
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (!is_digit(c) || length > (kLengthMax - digit) / 10)
            return Reject::ContentLength;
        length = length * 10 + digit;
    }
    fields.has_length = true;
    fields.length = length;
    fields.length_text = value;
    return value.empty() ? Reject::ContentLength : Reject::None;
}

[[gnu::noinline]] Reject note_connection(std::string_view list, Fields& fields)
{
    while (!list.empty()) {
        const std::string_view option = next_element(list);
        if (++fields.connection_options > kConnectionOptionsMax)
            return Reject::HeaderValue;
        if (is_named(option, "close"))
            fields.close = true;  // no field has that name (RFC 9110 section 16.3.1)
        else if (is_named(option, "keep-alive"))
            fields.keep_alive = true;
        else if (is_named(option, "upgrade"))
            fields.connection_upgrade = true;
        else if (!std::ranges::all_of(option, [](char c) { return is(c, kToken); }))
            return Reject::HeaderValue;
        else if (!option.empty() && !is_hop_by_hop(field_name(option)))
            fields.names_fields = true;
    }
    return Reject::None;
}

Reject note_field(const Header& header, Fields& fields)
{
    switch (header.known) {
    case FieldName::Host:
        fields.host = header.value;
        fields.hosts = fields.hosts == 0 ? 1 : 2;
        break;
    case FieldName::Expect:
        if (is_named(header.value, "100-continue"))
            fields.expect_continue = true;
        break;
    case FieldName::Upgrade: fields.upgrade = true; break;
    case FieldName::Connection: return note_connection(header.value, fields);
    case FieldName::ContentLength: return note_content_length(header.value, fields);
    case FieldName::TransferEncoding:
        fields.transfer_encodings = fields.transfer_encodings == 0 ? 1 : 2;
        fields.chunked = is_named(header.value, "chunked");
        break;
    default: break;
    }
    return Reject::None;
}

// Of anything but a name and its colon: why it is refused.
[[gnu::noinline]] Verdict refuse_name(Cursor cursor, std::string_view name)
{
    if (cursor.done())
        return {Status::Incomplete};
    const bool is_space = *cursor.at == ' ' || *cursor.at == '\t';
    if (name.empty())
        return invalid(is_space ? Reject::ObsFold : Reject::HeaderName);
    if (*cursor.at == '\n')
        return invalid(Reject::BareLineFeed);
    return invalid(is_space ? Reject::SpaceBeforeColon : Reject::HeaderName);
}

// Not at an end of line.
Verdict read_field(Cursor& cursor, CharClass name_class, Header& header)
{
    header.name = cursor.take_name(name_class);
    if (cursor.done() || *cursor.at != ':' || header.name.empty())
        return refuse_name(cursor, header.name);
    ++cursor.at;
    const bool has_space = !cursor.done() && *cursor.at == ' ';
    cursor.at += has_space ? 1 : 0;
    const std::string_view text = cursor.take_text();
    header.value = trim(text);
    header.is_line = has_space && header.value.size() == text.size();
    header.known = field_name(header.name);
    return take_line_end(cursor, Reject::HeaderValue);
}

}  // namespace

std::string_view next_element(std::string_view& list)
{
    const std::size_t comma = list.find(',');
    const std::string_view element = trim(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    return element;
}

bool is_authority(std::string_view text)
{
    if (text.size() > kAuthorityBytesMax)
        return false;
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos)
            return false;
        const std::string_view inside = text.substr(1, close - 1);
        const std::string_view after = text.substr(close + 1);
        return inside.find(':') != std::string_view::npos && inside.find('%') == std::string_view::npos &&
               IpAddress::parse(inside).has_value() && (after.empty() || (after[0] == ':' && is_port(after.substr(1))));
    }
    Cursor cursor{text.data(), text.data() + text.size()};
    cursor.at = host_end(cursor.at, cursor.end);
    const std::string_view name = cursor.since(text.data());
    if (name.empty() || name == ".")
        return false;
    return cursor.done() || (*cursor.at == ':' && is_port(cursor.rest().substr(1)));
}

const char* text_end(const char* at, const char* end)
{
    return find_end(at, end, kText, [](const Block& bytes) { return bytes < 0x20 || bytes == 0x7f; });
}

const char* name_end(const char* at, const char* end, CharClass wanted)
{
    return find_end(at, end, wanted, [](const Block& bytes) {
        const Block from_a = (bytes | 0x20) - int{'a'};  // letters, of both cases, are below 26
        return from_a > 'z' - 'a' && bytes != int{'-'};
    });
}

[[gnu::noinline]] Verdict refuse_line_end(Cursor cursor, Reject otherwise)
{
    if (cursor.done())
        return {Status::Incomplete};
    if (*cursor.at == '\n')
        return invalid(Reject::BareLineFeed);
    if (*cursor.at == '\r' && cursor.end - cursor.at < 2)
        return {Status::Incomplete};
    return invalid(otherwise);
}

// Everything that each field goes through in one function: what is called would cost more to call.
[[gnu::flatten]] Verdict read_fields(Cursor& from, CharClass name_class, std::size_t count_max, Header* headers,
                                     Fields& fields)
{
    const std::size_t room = std::min(count_max, kHeadersMax);
    Cursor cursor = from;  // in registers, where the other is in memory
    for (std::size_t lines = 0;; ++lines) {
        if (cursor.done())
            return {Status::Incomplete};
        if (*cursor.at == '\r' || *cursor.at == '\n') {
            const Verdict verdict = take_line_end(cursor, Reject::HeaderName);
            from = cursor;
            return verdict;
        }
        if (lines == room)
            return invalid(Reject::HeaderTooMany);
        Header& header = headers[fields.count];
        if (const Verdict verdict = read_field(cursor, name_class, header); verdict.status != Status::Complete)
            return verdict;
        const bool had_length = fields.has_length;
        if (const Reject reject = note_field(header, fields); reject != Reject::None)
            return invalid(reject);
        const bool repeats_length = had_length && header.known == FieldName::ContentLength;
        if (!repeats_length)
            ++fields.count;
    }
}

Reject check_framing(const Fields& fields, std::uint8_t minor_version)
{
    if (fields.transfer_encodings == 0)
        return Reject::None;
    if (minor_version == 0)
        return Reject::TransferEncodingVersion;
    if (fields.has_length)
        return Reject::ContentLengthWithTransferEncoding;
    return fields.transfer_encodings == 1 && fields.chunked ? Reject::None : Reject::TransferEncoding;
}

bool is_kept_alive(const Fields& fields, std::uint8_t minor_version)
{
    return !fields.close && (minor_version == 1 || fields.keep_alive);
}

}  // namespace sluice::proxy::http1
