// SPDX-License-Identifier: Apache-2.0
// Fields read without a word to anybody when they are missing or of another type: of an object's identity before it is
// known what it is, and of what others write as status. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "agent/source/reader.h"

namespace sluice::source {

[[nodiscard]] Value loose_field(const Value& map, std::string_view name);
// The scalar; "" without one.
[[nodiscard]] std::string loose_text(const Value& map, std::string_view name);

}  // namespace sluice::source
