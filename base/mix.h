// SPDX-License-Identifier: Apache-2.0
// The hash by which nodes come to the same decision on their own: the same on every machine and in every version.
#pragma once

#include <cstdint>

namespace sluice {

// The finalizer of splitmix64: fixed for ever, since nodes must agree on it.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t value)
{
    value += 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
}

}  // namespace sluice
