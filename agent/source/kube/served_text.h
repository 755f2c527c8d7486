// SPDX-License-Identifier: Apache-2.0
// What a node says of the Gateways that it serves, as the text of an annotation.
#pragma once

#include <string>

#include "agent/model/serving.h"

namespace sluice::source {

constexpr std::size_t kServedBytesMax = 200'000;  // the API bounds all annotations of an object to 256 KiB

// Longer than that it is "", and the Gateways of that node are never programmed.
[[nodiscard]] std::string served_text(const model::ServedGateways& served);
// What is no such text says nothing.
[[nodiscard]] model::ServedGateways parse_served(const std::string& text);

}  // namespace sluice::source
