// SPDX-License-Identifier: Apache-2.0
// The field lines of a message head, read in place.
#include <algorithm>
#include <limits>

#include "agent/proxy/http1_grammar.h"
#include "base/ip_address.h"

namespace sluice::proxy::http1 {
namespace {

constexpr std::uint8_t kConnectionOptionsMax =
    32;  // of all Connection fields: each is compared with every field's name
constexpr std::size_t kAuthorityBytesMax = 254 + 1 + 5;  // a name with its trailing dot, ':', a port

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
    for (const char c : text) {
        if (!is_digit(c) || text.size() > 5)
            return false;
        port = port * 10 + static_cast<unsigned>(c - '0');
    }
    return port <= 65535;
}

Reject note_content_length(std::string_view value, Fields& fields)
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

Reject note_connection(std::string_view list, Fields& fields)
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
        else if (!option.empty() && !is_hop_by_hop(option))
            fields.names_fields = true;
    }
    return Reject::None;
}

// Lengths first: most fields are none of these.
Reject note_field(const Header& header, Fields& fields)
{
    switch (header.name.size()) {
    case 4:
        if (is_named(header.name, "host")) {
            fields.host = header.value;
            fields.hosts = fields.hosts == 0 ? 1 : 2;
        }
        break;
    case 6:
        if (is_named(header.name, "expect") && is_named(header.value, "100-continue"))
            fields.expect_continue = true;
        break;
    case 7:
        if (is_named(header.name, "upgrade"))
            fields.upgrade = true;
        break;
    case 10:
        if (is_named(header.name, "connection"))
            return note_connection(header.value, fields);
        break;
    case 14:
        if (is_named(header.name, "content-length"))
            return note_content_length(header.value, fields);
        break;
    case 17:
        if (is_named(header.name, "transfer-encoding")) {
            fields.transfer_encodings = fields.transfer_encodings == 0 ? 1 : 2;
            fields.chunked = is_named(header.value, "chunked");
        }
        break;
    default: break;
    }
    return Reject::None;
}

Verdict read_field(Cursor& cursor, CharClass name_class, Header& header)
{
    if (*cursor.at == ' ' || *cursor.at == '\t')
        return invalid(Reject::ObsFold);
    const char* const name = cursor.at;
    cursor.skip_name(name_class);
    if (cursor.done())
        return {Status::Incomplete};
    header.name = cursor.since(name);
    if (*cursor.at == '\n')
        return invalid(Reject::BareLineFeed);
    if (header.name.empty())
        return invalid(Reject::HeaderName);
    if (*cursor.at == ' ' || *cursor.at == '\t')
        return invalid(Reject::SpaceBeforeColon);
    if (*cursor.at != ':')
        return invalid(Reject::HeaderName);
    const char* const value = ++cursor.at;
    cursor.skip_text();
    header.value = trim(cursor.since(value));
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
    const std::size_t colon = text.find(':');
    const std::string_view name = text.substr(0, colon);
    if (name.empty() || name == "." || !std::ranges::all_of(name, [](char c) { return is(c, kHost); }))
        return false;
    return colon == std::string_view::npos || is_port(text.substr(colon + 1));
}

void Cursor::skip_text()
{
    while (end - at >= 8) {
        const std::uint64_t word = load_word(at);
        // Bytes below 0x20, and those that are 0x7f; of each kind the first is found right (Hacker's Delight 6-1).
        const std::uint64_t below = (word - kOnes * 0x20) & ~word & kHighs;
        const std::uint64_t del = word ^ (kOnes * 0x7f);
        const std::uint64_t odd = below | ((del - kOnes) & ~del & kHighs);
        at += first_of(odd);
        if (odd == 0)
            continue;
        if (*at != '\t')
            return;
        ++at;
    }
    skip(kText);
}

void Cursor::skip_name(CharClass wanted)
{
    while (end - at >= 8) {
        const std::uint64_t word = load_word(at);
        const std::uint64_t low = (word | kOnes * 0x20) & ~kHighs;  // letters in lower case; no sum below carries
        const std::uint64_t letter = (low + kOnes * (0x80 - 'a')) & ~(low + kOnes * (0x7f - 'z')) & ~word;
        const std::uint64_t dash = word ^ (kOnes * '-');
        const std::uint64_t is_dash = ~(((dash & ~kHighs) + ~kHighs) | dash);
        const std::uint64_t other = ~(letter | is_dash) & kHighs;
        at += first_of(other);
        if (other == 0)
            continue;
        if (!is(*at, wanted))
            return;
        ++at;
    }
    skip(wanted);
}

Verdict refuse_line_end(const Cursor& cursor, Reject otherwise)
{
    if (cursor.done())
        return {Status::Incomplete};
    if (*cursor.at == '\n')
        return invalid(Reject::BareLineFeed);
    if (*cursor.at == '\r' && cursor.end - cursor.at < 2)
        return {Status::Incomplete};
    return invalid(otherwise);
}

Verdict read_fields(Cursor& cursor, CharClass name_class, std::size_t count_max, Header* headers, Fields& fields)
{
    const std::size_t room = std::min(count_max, kHeadersMax);
    for (std::size_t lines = 0;; ++lines) {
        if (cursor.done())
            return {Status::Incomplete};
        if (*cursor.at == '\r' || *cursor.at == '\n')
            return take_line_end(cursor, Reject::HeaderName);
        if (lines == room)
            return invalid(Reject::HeaderTooMany);
        Header& header = headers[fields.count];
        if (const Verdict verdict = read_field(cursor, name_class, header); verdict.status != Status::Complete)
            return verdict;
        const bool had_length = fields.has_length;
        if (const Reject reject = note_field(header, fields); reject != Reject::None)
            return invalid(reject);
        const bool repeats_length = had_length && is_named(header.name, "content-length");
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
