// SPDX-License-Identifier: Apache-2.0
// What the HTTP/1 parsers share: one table of character classes, and the field lines of a head (RFC 9112 section 5)
// with what they say about host, framing and connection. Internal to agent/proxy's HTTP parsing. Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "agent/proxy/http1.h"

namespace sluice::proxy::http1 {

enum CharClass : std::uint8_t {
    kToken = 1,        // RFC 9110 section 5.6.2
    kRequestName = 2,  // a token without '_', which backends of the CGI kind take for '-': refused at the edge
    kText = 4,         // field values: HTAB, SP, VCHAR, obs-text
    kPath = 8,         // RFC 3986 pchar, '/' and '%'
    kTarget = 16,      // any visible ASCII but '#': the query, where clients send more than RFC 3986 has
    kHost = 32,        // unreserved characters; sub-delims and escapes are in no name that resolves
};

namespace grammar_detail {

constexpr bool is_alnum(int c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

constexpr bool is_one_of(int c, std::string_view set)
{
    return c < 128 && set.find(static_cast<char>(c)) != std::string_view::npos;
}

constexpr std::array<std::uint8_t, 256> make_classes()
{
    std::array<std::uint8_t, 256> classes{};
    for (int c = 0; c < 256; ++c) {
        int bits = 0;
        if (is_alnum(c) || is_one_of(c, "!#$%&'*+-.^_`|~"))
            bits |= c == '_' ? kToken : kToken | kRequestName;
        if (c == '\t' || (c >= 0x20 && c != 0x7f))
            bits |= kText;
        if (is_alnum(c) || is_one_of(c, "-._~!$&'()*+,;=:@/%"))
            bits |= kPath;
        if (c > 0x20 && c < 0x7f && c != '#')
            bits |= kTarget;
        if (is_alnum(c) || is_one_of(c, "-._~"))
            bits |= kHost;
        classes[static_cast<std::size_t>(c)] = static_cast<std::uint8_t>(bits);
    }
    return classes;
}

constexpr std::array<std::int8_t, 256> make_hex_values()
{
    std::array<std::int8_t, 256> values{};
    for (int c = 0; c < 256; ++c) {
        const int value = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        values[static_cast<std::size_t>(c)] = static_cast<std::int8_t>(value);
    }
    return values;
}

inline constexpr auto kClasses = make_classes();
inline constexpr auto kHexValues = make_hex_values();

}  // namespace grammar_detail

[[nodiscard]] constexpr bool is(char c, CharClass wanted)
{
    return (grammar_detail::kClasses[static_cast<unsigned char>(c)] & wanted) != 0;
}
[[nodiscard]] constexpr int hex_value(char c) { return grammar_detail::kHexValues[static_cast<unsigned char>(c)]; }
[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// One element of a comma-separated list; the list is cut behind it, surrounding whitespace removed. Elements may be
// empty (RFC 9110 section 5.6.1). Call while `list` is not empty.
[[nodiscard]] std::string_view next_element(std::string_view& list);

// host[:port] (RFC 3986 section 3.2.2), a name of unreserved characters or an address, not empty.
[[nodiscard]] bool is_authority(std::string_view text);

struct Verdict {
    Status status = Status::Complete;
    Reject reject = Reject::None;
};
[[nodiscard]] constexpr Verdict invalid(Reject reject) { return {Status::Invalid, reject}; }

// The first byte of a text that is not of kText; of a name, that is not `wanted`. In blocks: names are letters and '-'
// for the most part.
[[nodiscard]] const char* text_end(const char* at, const char* end);
[[nodiscard]] const char* name_end(const char* at, const char* end, CharClass wanted);

struct Cursor {
    const char* at;
    const char* end;
    [[nodiscard]] bool done() const { return at == end; }
    [[nodiscard]] std::string_view rest() const { return {at, static_cast<std::size_t>(end - at)}; }
    [[nodiscard]] std::string_view since(const char* start) const
    {
        return {start, static_cast<std::size_t>(at - start)};
    }
    void skip(CharClass wanted)
    {
        while (at != end && is(*at, wanted))
            ++at;
    }
    [[nodiscard]] std::string_view take_text() { return take(text_end(at, end)); }
    [[nodiscard]] std::string_view take_name(CharClass wanted) { return take(name_end(at, end, wanted)); }

private:
    std::string_view take(const char* to)
    {
        const char* const start = std::exchange(at, to);
        return since(start);
    }
};

// Of anything but CR LF: why it is refused.
[[nodiscard]] Verdict refuse_line_end(Cursor cursor, Reject otherwise);
// Takes CR LF. Anything else is refused with `otherwise`, a bare LF by its own name.
[[nodiscard, gnu::always_inline]] inline Verdict take_line_end(Cursor& cursor, Reject otherwise)
{
    if (cursor.end - cursor.at < 2 || cursor.at[0] != '\r' || cursor.at[1] != '\n')
        return refuse_line_end(cursor, otherwise);
    cursor.at += 2;
    return {};
}

// What the fields of a head say. Field names that matter here are recognised once, as they are read.
struct Fields {
    std::uint8_t count = 0;
    std::uint8_t hosts = 0;
    std::uint8_t transfer_encodings = 0;
    std::uint8_t connection_options = 0;
    bool chunked = false;
    bool has_length = false;
    bool close = false;
    bool keep_alive = false;
    bool connection_upgrade = false;
    bool names_fields = false;  // Connection does, beyond those that are hop-by-hop anyway
    bool upgrade = false;
    bool expect_continue = false;
    std::uint64_t length = 0;
    std::string_view length_text;
    std::string_view host;
};

// Reads field lines up to and with the empty line. Names consist of `name_class`. A repeated Content-Length of equal
// text is left out of `headers`, so that what is forwarded has one.
[[nodiscard]] Verdict read_fields(Cursor& cursor, CharClass name_class, std::size_t count_max, Header* headers,
                                  Fields& fields);

// The rules that requests and responses share: Transfer-Encoding only in 1.1, not with Content-Length, only chunked.
[[nodiscard]] Reject check_framing(const Fields& fields, std::uint8_t minor_version);

[[nodiscard]] bool is_kept_alive(const Fields& fields, std::uint8_t minor_version);

}  // namespace sluice::proxy::http1
