// SPDX-License-Identifier: Apache-2.0
#include "agent/source/text.h"

#include <algorithm>
#include <cstdint>

namespace sluice::source {
namespace {

constexpr std::size_t kPrintableMax = 80;

std::uint8_t byte_at(std::string_view text, std::size_t at) { return static_cast<std::uint8_t>(text[at]); }

// Length of the well-formed UTF-8 sequence at `at` (Unicode 15 table 3-7), 0 when there is none.
std::size_t utf8_length(std::string_view text, std::size_t at)
{
    const std::uint8_t lead = byte_at(text, at);
    if (lead < 0x80)
        return 1;
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || at + length > text.size())
        return 0;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xbf;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    for (std::size_t i = 1; i < length; ++i, low = 0x80, high = 0xbf) {
        if (byte_at(text, at + i) < low || byte_at(text, at + i) > high)
            return 0;
    }
    return length;
}

bool is_control(std::uint8_t byte)
{
    return (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
}

bool is_separator(std::string_view line)
{
    return line.starts_with("---") && (line.size() == 3 || line[3] == ' ' || line[3] == '\t' || line[3] == '\r');
}

bool says_nothing(std::string_view line)
{
    const auto first = line.find_first_not_of(" \t\r");
    return first == std::string_view::npos || line[first] == '#' || line == "..." || line == "...\r" ||
           line.starts_with('%');
}

}  // namespace

std::optional<TextFault> find_text_fault(std::string_view text)
{
    int line = 1;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = utf8_length(text, at);
        if (length == 0)
            return TextFault{line, "the file is not valid UTF-8 here"};
        if (length == 1 && is_control(byte_at(text, at)))
            return TextFault{line, "the file has a control character here (code " + std::to_string(byte_at(text, at)) +
                                       "), which YAML and JSON do not allow"};
        if (text[at] == '\n')
            ++line;
        at += length;
    }
    return std::nullopt;
}

std::vector<Document> split_documents(std::string_view text)
{
    std::vector<Document> documents;
    Document current{text.substr(0, 0), 1};
    std::size_t begin = 0;
    bool empty = true;
    const auto close = [&](std::size_t end) {
        current.text = text.substr(begin, end - begin);
        if (!empty)
            documents.push_back(current);
    };
    int line_number = 1;
    for (std::size_t at = 0; at < text.size(); ++line_number) {
        const std::size_t newline = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, newline - at);
        if (is_separator(line)) {
            close(at);
            begin = at;
            current.first_line = line_number;
            empty = true;
            line.remove_prefix(3);
        }
        empty = empty && says_nothing(line);
        at = newline + 1;
    }
    close(text.size());
    return documents;
}

std::string printable(std::string_view text)
{
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = utf8_length(text, at);
        if (result.size() + std::max<std::size_t>(length, 1) > kPrintableMax - 3)
            return result + "...";
        if (length == 0 || (length == 1 && (byte_at(text, at) < 0x20 || byte_at(text, at) == 0x7f)))
            result += '?';
        else
            result += text.substr(at, length);
        at += std::max<std::size_t>(length, 1);
    }
    return result;
}

}  // namespace sluice::source
