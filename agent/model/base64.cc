// SPDX-License-Identifier: Apache-2.0
#include "agent/model/base64.h"

#include <array>
#include <cstdint>

namespace sluice::model {
namespace {

constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> make_digits()
{
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::array<std::uint8_t, 256> digits{};
    digits.fill(kNoDigit);
    for (std::size_t i = 0; i < kAlphabet.size(); ++i)
        digits[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
    return digits;
}

constexpr auto kDigits = make_digits();

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

std::optional<std::string> decode_base64(std::string_view text)
{
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3);
    std::uint32_t bits = 0;
    std::size_t digits = 0;
    std::size_t padding = 0;
    for (const char c : text) {
        if (is_space(c))
            continue;
        if (c == '=') {
            ++padding;
            continue;
        }
        const std::uint8_t digit = kDigits[static_cast<std::uint8_t>(c)];
        if (digit == kNoDigit || padding != 0)
            return std::nullopt;
        bits = bits << 6 | digit;
        if (++digits % 4 == 0) {
            for (const int shift : {16, 8, 0})
                bytes += static_cast<char>(bits >> shift & 0xff);
            bits = 0;
        }
    }
    const std::size_t rest = digits % 4;
    if (rest == 1 || padding != (rest == 0 ? 0 : 4 - rest))
        return std::nullopt;
    if (rest >= 2)
        bytes += static_cast<char>(bits >> (rest == 2 ? 4 : 10) & 0xff);
    if (rest == 3)
        bytes += static_cast<char>(bits >> 2 & 0xff);
    return bytes;
}

}  // namespace sluice::model
