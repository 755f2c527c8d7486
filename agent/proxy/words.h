// SPDX-License-Identifier: Apache-2.0
// Text eight bytes at a time, in one machine word. No byte disturbs another. Pure functions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sluice::proxy::http1 {

inline constexpr std::uint64_t kOnes = 0x0101010101010101;
inline constexpr std::uint64_t kHighs = 0x8080808080808080;
inline constexpr std::size_t kWordBytes = 8;
static_assert(std::endian::native == std::endian::little);  // the first byte is the lowest

// `size` bytes, 8 at most.
[[nodiscard, gnu::always_inline]] inline std::uint64_t load_word(const char* at, std::size_t size = kWordBytes)
{
    std::uint64_t word = 0;
    std::memcpy(&word, at, size);
    return word;
}

// The bit in which the cases of a letter differ, 0x20, of the bytes that are `first` to `last`, ASCII both.
[[nodiscard]] constexpr std::uint64_t case_bits(std::uint64_t word, char first, char last)
{
    const std::uint64_t low = word & ~kHighs;  // so that no sum below carries
    const auto from = static_cast<std::uint64_t>(0x80 - first);
    const auto behind = static_cast<std::uint64_t>(0x7f - last);
    return ((low + kOnes * from) & ~(low + kOnes * behind) & ~word & kHighs) >> 2U;
}

// ASCII letters in lower case, every other byte as it is.
[[nodiscard]] constexpr std::uint64_t to_lower_word(std::uint64_t word) { return word | case_bits(word, 'A', 'Z'); }

// Copies `size` bytes so; of none `from` may be null.
inline void copy_to_lower(char* to, const char* from, std::size_t size)
{
    if (size == 0)
        return;
    const auto copy = [&](std::size_t at, std::size_t count) {
        const std::uint64_t word = to_lower_word(load_word(from + at, count));
        std::memcpy(to + at, &word, count);
    };
    if (size < kWordBytes) {
        copy(0, size);
        return;
    }
    for (std::size_t at = 0; at + kWordBytes < size; at += kWordBytes)
        copy(at, kWordBytes);
    copy(size - kWordBytes, kWordBytes);  // may overlap the one before
}

namespace words_detail {

// Inline, so that of the literal only constants remain.
template <bool IgnoresCase, std::size_t Size>
[[nodiscard, gnu::always_inline]] inline bool begins_with(const char* text, const char (&literal)[Size])
{
    constexpr std::size_t kLength = Size - 1;
    constexpr std::size_t kPart = kLength >= 8 ? 8 : kLength >= 4 ? 4 : kLength >= 2 ? 2 : 1;
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < (kLength + kPart - 1) / kPart; ++i) {
        const std::size_t at = i * kPart + kPart < kLength ? i * kPart : kLength - kPart;  // the last two may overlap
        const std::uint64_t wanted = load_word(literal + at, kPart);
        const std::uint64_t ignored = IgnoresCase ? case_bits(wanted, 'a', 'z') : 0;
        difference |= (load_word(text + at, kPart) | ignored) ^ wanted;
    }
    return difference == 0;
}

}  // namespace words_detail

// Whether `name` is `lower`, a literal in lower case, but for the case of letters.
template <std::size_t Size>
[[nodiscard, gnu::always_inline]] inline bool is_named(std::string_view name, const char (&lower)[Size])
{
    return name.size() == Size - 1 && words_detail::begins_with<true>(name.data(), lower);
}

// Whether `text` is `literal`, byte for byte; or begins with it.
template <std::size_t Size>
[[nodiscard, gnu::always_inline]] inline bool is_text(std::string_view text, const char (&literal)[Size])
{
    return text.size() == Size - 1 && words_detail::begins_with<false>(text.data(), literal);
}
template <std::size_t Size>
[[nodiscard, gnu::always_inline]] inline bool has_prefix(std::string_view text, const char (&literal)[Size])
{
    return text.size() >= Size - 1 && words_detail::begins_with<false>(text.data(), literal);
}

}  // namespace sluice::proxy::http1
