// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/router_match.h"

#include <algorithm>
#include <array>
#include <optional>

#include "agent/proxy/http1_grammar.h"

namespace sluice::proxy {
namespace {

// A value that has to be put together before it can be compared: bounded, on the stack.
class Scratch {
public:
    // False: there is no room.
    [[nodiscard]] bool append(std::string_view text)
    {
        if (text.size() > bytes_.size() - size_)
            return false;
        std::ranges::copy(text, bytes_.data() + size_);
        size_ += text.size();
        return true;
    }
    [[nodiscard]] std::string_view text() const { return {bytes_.data(), size_}; }

private:
    std::array<char, kMatchValueBytesMax> bytes_;
    std::size_t size_ = 0;
};

bool matches(std::string_view value, const RE2& regex) { return RE2::FullMatch({value.data(), value.size()}, regex); }

// Takes `part` off the front of `text`.
bool take(std::string_view& text, std::string_view part)
{
    if (!text.starts_with(part))
        return false;
    text.remove_prefix(part.size());
    return true;
}

// The next line of that name at or behind `from`; the size when there is none.
std::size_t find_header(std::span<const http1::Header> headers, std::string_view name, std::size_t from)
{
    while (from < headers.size() && !http1::equals_ignoring_case(headers[from].name, name))
        ++from;
    return from;
}

// Lines of one name as one value "a,b", compared piece by piece.
bool joined_equals(std::span<const http1::Header> headers, std::size_t first, const ValueCondition& condition)
{
    std::string_view rest = condition.exact;
    for (std::size_t line = first; line < headers.size(); line = find_header(headers, condition.name, line + 1)) {
        if ((line != first && !take(rest, ",")) || !take(rest, headers[line].value))
            return false;
    }
    return rest.empty();
}

bool joined_matches(std::span<const http1::Header> headers, std::size_t first, const ValueCondition& condition)
{
    Scratch joined;
    for (std::size_t line = first; line < headers.size(); line = find_header(headers, condition.name, line + 1)) {
        if ((line != first && !joined.append(",")) || !joined.append(headers[line].value))
            return false;
    }
    return matches(joined.text(), *condition.regex);
}

bool header_meets(std::span<const http1::Header> headers, const ValueCondition& condition)
{
    const std::size_t first = find_header(headers, condition.name, 0);
    if (first == headers.size())
        return false;
    if (condition.regex == nullptr)
        return joined_equals(headers, first, condition);
    const bool is_single = find_header(headers, condition.name, first + 1) == headers.size();
    return is_single ? matches(headers[first].value, *condition.regex) : joined_matches(headers, first, condition);
}

// Takes one byte off `text`, "%XX" as the byte that it stands for; a '%' without two digits stands for itself.
char take_decoded(std::string_view& text)
{
    const char c = text.front();
    if (c == '%' && text.size() >= 3 && http1::hex_value(text[1]) >= 0 && http1::hex_value(text[2]) >= 0) {
        const int value = http1::hex_value(text[1]) * 16 + http1::hex_value(text[2]);
        text.remove_prefix(3);
        return static_cast<char>(value);
    }
    text.remove_prefix(1);
    return c;
}

bool decoded_equals(std::string_view encoded, std::string_view plain)
{
    while (!encoded.empty()) {
        if (plain.empty() || take_decoded(encoded) != plain.front())
            return false;
        plain.remove_prefix(1);
    }
    return plain.empty();
}

bool decoded_matches(std::string_view encoded, const RE2& regex)
{
    if (encoded.find('%') == std::string_view::npos)
        return matches(encoded, regex);
    Scratch decoded;
    while (!encoded.empty()) {
        const char c = take_decoded(encoded);
        if (!decoded.append({&c, 1}))
            return false;
    }
    return matches(decoded.text(), regex);
}

std::optional<std::string_view> find_query_param(std::string_view query, std::string_view name)
{
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        const std::size_t equals = std::min(pair.find('='), pair.size());
        if (decoded_equals(pair.substr(0, equals), name))
            return pair.substr(std::min(equals + 1, pair.size()));
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return std::nullopt;
}

bool query_meets(std::string_view query, const ValueCondition& condition)
{
    const auto value = find_query_param(query, condition.name);
    if (!value)
        return false;
    return condition.regex == nullptr ? decoded_equals(*value, condition.exact)
                                      : decoded_matches(*value, *condition.regex);
}

}  // namespace

bool meets(const RequestView& request, const Conditions& conditions)
{
    if (!conditions.method.empty() && conditions.method != request.method)
        return false;
    return std::ranges::all_of(conditions.headers,
                               [&](const ValueCondition& each) { return header_meets(request.headers, each); }) &&
           std::ranges::all_of(conditions.query_params,
                               [&](const ValueCondition& each) { return query_meets(request.query, each); });
}

}  // namespace sluice::proxy
