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

// ASCII letters in lower case, every other byte as it is.
[[nodiscard]] constexpr std::uint64_t to_lower_word(std::uint64_t word)
{
    const std::uint64_t low = word & ~kHighs;  // so that no sum below carries
    const std::uint64_t upper = (low + kOnes * (0x80 - 'A')) & ~(low + kOnes * (0x7f - 'Z')) & ~word & kHighs;
    return word | upper >> 2U;
}

// The same of `size` bytes, in place.
inline void make_lower(char* at, std::size_t size)
{
    for (std::size_t part = 0; size != 0; at += part, size -= part) {
        part = size < kWordBytes ? size : kWordBytes;
        const std::uint64_t word = to_lower_word(load_word(at, part));
        std::memcpy(at, &word, part);
    }
}

// Of a word with the high bits of some bytes set: the place of the first one, 8 where there is none.
[[nodiscard]] constexpr std::ptrdiff_t first_of(std::uint64_t bits) { return std::countr_zero(bits) / 8; }

// Whether `name` is `lower`, a literal in lower case, but for the case of letters. Inline, so that of the literal only
// constants remain.
template <std::size_t Size>
[[nodiscard, gnu::always_inline]] inline bool is_named(std::string_view name, const char (&lower)[Size])
{
    constexpr std::size_t kLength = Size - 1;
    constexpr std::size_t kPart = kLength >= 8 ? 8 : kLength >= 4 ? 4 : kLength >= 2 ? 2 : 1;
    if (name.size() != kLength)
        return false;
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < (kLength + kPart - 1) / kPart; ++i) {
        const std::size_t at = i * kPart + kPart < kLength ? i * kPart : kLength - kPart;  // the last two may overlap
        difference |= to_lower_word(load_word(name.data() + at, kPart)) ^ load_word(lower + at, kPart);
    }
    return difference == 0;
}

}  // namespace sluice::proxy::http1
