// SPDX-License-Identifier: Apache-2.0
// What is canonical already (nearly every path) is found so in one pass and not copied; the rest is rewritten segment
// by segment from its first odd segment on.
#include "base/canonical_path.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sluice {
namespace {

enum CharClass : std::uint8_t {
    kUnreserved = 1,  // RFC 3986 section 2.3
    kSegment = 2,     // its pchar without '.' and '%', which ask for a second look
};

constexpr std::array<std::uint8_t, 256> make_classes()
{
    std::array<std::uint8_t, 256> classes{};
    const auto add = [&](std::string_view characters, unsigned bits) {
        for (const char c : characters) {
            std::uint8_t& entry = classes[static_cast<unsigned char>(c)];
            entry = static_cast<std::uint8_t>(entry | bits);
        }
    };
    add("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_~", kUnreserved | kSegment);
    add(".", kUnreserved);
    add("!$&'()*+,;=:@", kSegment);
    return classes;
}

constexpr auto kClasses = make_classes();

bool is(char c, CharClass wanted) { return (kClasses[static_cast<unsigned char>(c)] & wanted) != 0; }

int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Never a part of a path: some servers take the backslash for '/', and '#' or '?' for the path's end.
bool is_forbidden(char c)
{
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte >= 0x7f || c == '\\' || c == '#' || c == '?';
}

bool is_upper_hex(char c) { return hex_value(c) >= 0 && !(c >= 'a' && c <= 'f'); }

// The byte that "%XX" at the front of `text` stands for; -1 when it is no escape or one of NUL, '/' or '\'.
int unescape(std::string_view text)
{
    if (text.size() < 3 || hex_value(text[1]) < 0 || hex_value(text[2]) < 0)
        return -1;
    const int value = hex_value(text[1]) * 16 + hex_value(text[2]);
    return value == 0 || value == '/' || value == '\\' ? -1 : value;
}

bool is_dots(std::string_view segment) { return segment == "." || segment == ".."; }

// Tomcat and its like cut "..;x" at the semicolon and then climb.
bool is_masked_dots(std::string_view segment) { return segment.starts_with(".;") || segment.starts_with("..;"); }

bool is_canonical_segment(std::string_view segment)
{
    for (std::size_t i = 0; i < segment.size(); ++i) {
        if (segment[i] == '%') {
            const int value = unescape(segment.substr(i));
            if (value < 0 || is(static_cast<char>(value), kUnreserved) || !is_upper_hex(segment[i + 1]) ||
                !is_upper_hex(segment[i + 2]))
                return false;
        } else if (is_forbidden(segment[i])) {
            return false;
        }
    }
    return !is_dots(segment) && !is_masked_dots(segment);
}

// Whether there is nothing in it that could need a change, as in nearly every path.
bool is_plain(std::string_view raw)
{
    char before = '\0';
    for (const char c : raw) {
        if (!is(c, kSegment) && ((c != '/' && c != '.') || before == '/'))
            return false;
        before = c;
    }
    return true;
}

// Length of the part of `raw`, up to and with a '/', that needs no change; all of it when the path is canonical.
std::size_t canonical_length(std::string_view raw)
{
    std::size_t start = 1;
    while (start < raw.size()) {
        const std::size_t slash = raw.find('/', start);
        const std::size_t end = slash == std::string_view::npos ? raw.size() : slash;
        if (end == start || !is_canonical_segment(raw.substr(start, end - start)))
            return start;
        if (slash == std::string_view::npos)
            return raw.size();
        start = end + 1;
    }
    return raw.size();
}

// Appends a segment with its escapes in canonical form. The written part never outgrows what was read.
bool append_segment(std::string_view segment, std::span<char> out, std::size_t& size)
{
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (std::size_t i = 0; i < segment.size(); ++i) {
        if (segment[i] != '%') {
            if (is_forbidden(segment[i]))
                return false;
            out[size++] = segment[i];
            continue;
        }
        const int value = unescape(segment.substr(i));
        if (value < 0)
            return false;
        if (is(static_cast<char>(value), kUnreserved)) {
            out[size++] = static_cast<char>(value);
        } else {
            out[size++] = '%';
            out[size++] = kHex[static_cast<std::size_t>(value / 16)];
            out[size++] = kHex[static_cast<std::size_t>(value % 16)];
        }
        i += 2;
    }
    return true;
}

// Settles the segment that begins at `start` of `out`, which is behind a '/'. False: it climbs above the root.
bool apply_dots(std::span<char> out, std::size_t start, std::size_t& size)
{
    const std::string_view segment(out.data() + start, size - start);
    if (is_masked_dots(segment))
        return false;
    if (!is_dots(segment))
        return true;
    size = start;
    if (segment == ".")
        return true;
    if (start == 1)
        return false;
    size = std::string_view(out.data(), start - 1).rfind('/') + 1;
    return true;
}

}  // namespace

std::optional<std::string_view> canonical_path(std::string_view raw, std::span<char> out)
{
    if (!raw.starts_with('/'))
        return raw == "*" ? std::optional(raw) : std::nullopt;  // asterisk-form of OPTIONS
    if (is_plain(raw))
        return raw;
    std::size_t read = canonical_length(raw);
    if (read == raw.size())
        return raw;
    if (out.size() < raw.size())
        return std::nullopt;
    std::copy_n(raw.begin(), read, out.begin());
    std::size_t size = read;
    while (read < raw.size()) {
        const std::size_t end = std::min(raw.find('/', read), raw.size());
        const std::size_t start = size;
        if (!append_segment(raw.substr(read, end - read), out, size) || !apply_dots(out, start, size))
            return std::nullopt;
        // A '/' follows only a segment that was kept: this merges slashes and swallows those of dot segments.
        if (end < raw.size() && size > start)
            out[size++] = '/';
        read = end + 1;
    }
    return std::string_view(out.data(), size);
}

}  // namespace sluice
