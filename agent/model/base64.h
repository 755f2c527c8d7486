// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648 section 4), as in Secrets and in PEM. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::model {

// Spaces and line ends may stand anywhere; the padding must be there. None for what is not base64.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace sluice::model
