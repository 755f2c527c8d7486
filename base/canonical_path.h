// SPDX-License-Identifier: Apache-2.0
// The one canonical form of a path (docs/limits.md), of requests as of the routes that match them. All decisions use
// it.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace sluice {

// Percent-encoded unreserved characters decoded, the other escapes in upper case, slashes merged, dot segments removed.
// Writes at most `raw.size()` bytes into `out`, which must have that room, and returns the written part; equal to `raw`
// and without a copy for an already canonical path. nullopt: refused (bad escape, %00, encoded slash, backslash raw or
// encoded, '#', '?', control and non-ASCII bytes, ".." above the root, "..;", no slash in front). "*" of an OPTIONS
// request stays as it is.
[[nodiscard]] std::optional<std::string_view> canonical_path(std::string_view raw, std::span<char> out);

}  // namespace sluice
