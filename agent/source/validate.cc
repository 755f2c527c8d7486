// SPDX-License-Identifier: Apache-2.0
#include "agent/source/validate.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/ip_address.h"

namespace sluice::source {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_alpha(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
bool is_alnum(char c) { return is_alpha(c) || is_digit(c); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_lower_alnum(char c) { return is_lower(c) || is_digit(c); }

// [a-z0-9]([-a-z0-9]*[a-z0-9])?
bool is_label(std::string_view text, bool (*accepted)(char) = is_lower_alnum)
{
    return !text.empty() && accepted(text.front()) && accepted(text.back()) &&
           std::ranges::all_of(text, [&](char c) { return accepted(c) || c == '-'; });
}

bool is_subdomain(std::string_view text)
{
    for (;;) {
        const std::size_t dot = text.find('.');
        if (!is_label(text.substr(0, dot)))
            return false;
        if (dot == std::string_view::npos)
            return true;
        text.remove_prefix(dot + 1);
    }
}

bool has_any(std::string_view text, std::string_view characters)
{
    return text.find_first_of(characters) != std::string_view::npos;
}

Fault length_between(std::string_view text, std::size_t min, std::size_t max)
{
    if (text.size() >= min && text.size() <= max)
        return std::nullopt;
    return "has " + std::to_string(text.size()) + " characters; accepted are " + std::to_string(min) + " to " +
           std::to_string(max);
}

// Unit of a duration at the front of `text`: its length, and its milliseconds.
struct Unit {
    std::string_view name;
    std::uint32_t ms;
};
constexpr std::array<Unit, 4> kUnits{{{"ms", 1}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}}};

// Milliseconds of ([0-9]{1,5}(h|m|s|ms)){1,4}.
std::optional<std::uint64_t> parse_duration(std::string_view text)
{
    std::uint64_t total = 0;
    for (int parts = 0; parts == 0 || !text.empty(); ++parts) {
        const auto digits = static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
        if (parts == 4 || digits == 0 || digits > 5)
            return std::nullopt;
        std::uint64_t number = 0;
        for (const char c : text.substr(0, digits))
            number = number * 10 + static_cast<std::uint64_t>(c - '0');
        text.remove_prefix(digits);
        const auto unit = std::ranges::find_if(kUnits, [&](const Unit& each) { return text.starts_with(each.name); });
        if (unit == kUnits.end())
            return std::nullopt;
        total += number * unit->ms;
        text.remove_prefix(unit->name.size());
    }
    return total;
}

}  // namespace

Fault dns_label(std::string_view text)
{
    if (text.size() <= 63 && is_label(text))
        return std::nullopt;
    return "not an RFC 1123 label: at most 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit";
}

Fault dns_subdomain(std::string_view text)
{
    if (text.size() <= 253 && is_subdomain(text))
        return std::nullopt;
    return "not an RFC 1123 subdomain: at most 253 of a-z, 0-9, '-' and '.', each part beginning and ending with a "
           "letter or digit";
}

Fault group_name(std::string_view text)
{
    if (text.empty() || !dns_subdomain(text))
        return std::nullopt;
    return "not an API group: \"\" or a lower-case domain such as gateway.networking.k8s.io (without a version)";
}

Fault kind_name(std::string_view text)
{
    if (text.size() <= 63 && is_label(text, is_alnum) && is_alpha(text.front()))
        return std::nullopt;
    return "not a kind: at most 63 letters, digits and '-', beginning with a letter";
}

Fault object_name(std::string_view text) { return length_between(text, 1, 253); }

Fault hostname(std::string_view text)
{
    if (IpAddress::parse(text))
        return "an IP address is not accepted as a hostname";
    const std::string_view name = text.starts_with("*.") ? text.substr(2) : text;
    if (text.size() <= 253 && is_subdomain(name))
        return std::nullopt;
    return "not a hostname: at most 253 characters, lower-case labels separated by '.'; only the whole first label may "
           "be \"*\"";
}

Fault listener_protocol(std::string_view text)
{
    const std::size_t slash = text.find('/');
    const bool good = slash == std::string_view::npos
                          ? is_label(text, is_alnum)
                          : is_subdomain(text.substr(0, slash)) && slash + 1 < text.size() &&
                                std::ranges::all_of(text.substr(slash + 1), is_alnum);
    if (good && text.size() <= 255)
        return std::nullopt;
    return "not a protocol: HTTP, HTTPS, TLS, TCP, UDP, or a domain-prefixed name such as example.com/bar";
}

Fault controller_name(std::string_view text)
{
    const std::size_t slash = text.find('/');
    if (text.size() <= 253 && slash != std::string_view::npos && slash + 1 < text.size() &&
        is_subdomain(text.substr(0, slash)) && std::ranges::all_of(text.substr(slash + 1), [](char c) {
            return is_alnum(c) || std::string_view("/-._~%!$&'()*+,;=:").find(c) != std::string_view::npos;
        }))
        return std::nullopt;
    return "not a controller name: a domain, '/' and a path, such as sluice.dev/node-gateway";
}

Fault timestamp(std::string_view text)
{
    constexpr std::string_view kShape = "0000-00-00T00:00:00Z";
    const bool good = text.size() == kShape.size() && std::ranges::equal(text, kShape, [](char c, char shape) {
                          return shape == '0' ? is_digit(c) : c == shape;
                      });
    if (good)
        return std::nullopt;
    return "not a time such as 2026-01-31T12:00:00Z";
}

namespace {

Fault path_characters(std::string_view text)
{
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool escape = text[i] == '%' && i + 2 < text.size() && is_hex(text[i + 1]) && is_hex(text[i + 2]);
        if (!is_alnum(text[i]) && !escape && !has_any(text.substr(i, 1), "-/._~!$&'()*+,;=:@"))
            return "a path holds letters, digits, -/._~!$&'()*+,;=:@ and %XX escapes only (RFC 3986)";
    }
    return std::nullopt;
}

}  // namespace

Fault plain_path(std::string_view text)
{
    if (Fault fault = length_between(text, 1, 1024))
        return fault;
    if (!text.starts_with('/'))
        return "a path must begin with \"/\"";
    for (const std::string_view part : {"//", "/./", "/../", "%2f", "%2F", "#"}) {
        if (text.find(part) != std::string_view::npos)
            return "a path must not contain \"" + std::string(part) + "\"";
    }
    for (const std::string_view end : {"/..", "/."}) {
        if (text.ends_with(end))
            return "a path must not end with \"" + std::string(end) + "\"";
    }
    return path_characters(text);
}

Fault path_prefix(std::string_view text)
{
    if (Fault fault = length_between(text, 0, 1024))
        return fault;
    if (!text.empty() && !text.starts_with('/'))
        return "a prefix must be empty or begin with \"/\"";
    return path_characters(text);
}

Fault header_name(std::string_view text)
{
    if (Fault fault = length_between(text, 1, 256))
        return fault;
    if (std::ranges::all_of(text, [](char c) {
            return is_alnum(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
        }))
        return std::nullopt;
    return "not a token (RFC 9110): letters, digits and !#$%&'*+-.^_`|~ only";
}

Fault header_value(std::string_view text) { return length_between(text, 1, 4096); }

Fault field_value(std::string_view text)
{
    if (Fault fault = header_value(text))
        return fault;
    const auto is_control = [](char c) { return (c >= '\0' && c < ' ' && c != '\t') || c == '\x7f'; };
    if (std::ranges::any_of(text, is_control))
        return "a header's value must not hold control characters (RFC 9110 section 5.5)";
    return std::nullopt;
}

Fault query_value(std::string_view text) { return length_between(text, 1, 1024); }

Fault duration(std::string_view text)
{
    if (parse_duration(text))
        return std::nullopt;
    return "not a duration (GEP-2257): one to four numbers of at most 5 digits, each with h, m, s or ms, such as 1m30s "
           "or 500ms";
}

std::uint32_t duration_ms(std::string_view text)
{
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(std::min(parse_duration(text).value_or(0), kMax));
}

namespace {

// [A-Za-z_][A-Za-z_0-9]*
bool is_identifier(std::string_view text)
{
    return !text.empty() && !is_digit(text.front()) &&
           std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '_'; });
}

}  // namespace

Fault grpc_service(std::string_view text)
{
    std::string_view rest = text.starts_with('.') ? text.substr(1) : text;
    bool good = text.size() <= 1024;
    while (good) {
        const std::size_t dot = rest.find('.');
        good = is_identifier(rest.substr(0, dot));
        if (good && dot == std::string_view::npos)
            return std::nullopt;
        rest.remove_prefix(std::min(rest.size(), dot + 1));
    }
    return "not a gRPC service: at most 1024 characters, names of letters, digits and '_' separated by '.', such as "
           "helloworld.Greeter";
}

Fault grpc_method(std::string_view text)
{
    if (text.size() <= 1024 && is_identifier(text))
        return std::nullopt;
    return "not a gRPC method: at most 1024 letters, digits and '_', not beginning with a digit, such as SayHello";
}

Fault absolute_uri(std::string_view text)
{
    if (Fault fault = length_between(text, 1, 253))
        return fault;
    const std::size_t scheme = text.find_first_of(":/?#");
    if (scheme != std::string_view::npos && scheme > 0 && text.substr(scheme).starts_with("://"))
        return std::nullopt;
    return "not an absolute URI: a scheme, \"://\" and more, such as spiffe://example.org/ns/web/sa/shop";
}

Fault well_known_ca(std::string_view text)
{
    const std::size_t slash = text.find('/');
    const std::string_view name = slash == std::string_view::npos ? "" : text.substr(slash + 1);
    const bool prefixed = !name.empty() && name.size() <= 63 && is_subdomain(text.substr(0, slash)) &&
                          is_alnum(name.front()) && is_alnum(name.back()) &&
                          std::ranges::all_of(name, [](char c) { return is_alnum(c) || has_any({&c, 1}, "-_."); });
    if (text == "System" || (prefixed && text.size() <= 253))
        return std::nullopt;
    return "not one of the accepted values: System, or a domain-prefixed name";
}

// An endpoint on these addresses would let whoever may write EndpointSlices reach what belongs to the node itself
// (CVE-2021-25740); the API server refuses them as well.
Fault endpoint_address(std::string_view text)
{
    const auto address = IpAddress::parse(text);
    if (!address)
        return "not an IP address";
    if (address->is_any())
        return "the unspecified address cannot be an endpoint";
    if (address->is_loopback())
        return "a loopback address cannot be an endpoint: it would reach the node itself";
    if (address->is_link_local())
        return "a link-local address cannot be an endpoint: it would reach the node's own services";
    if (address->is_multicast())
        return "a multicast address cannot be an endpoint";
    return std::nullopt;
}

}  // namespace sluice::source
