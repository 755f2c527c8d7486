// SPDX-License-Identifier: Apache-2.0
// A text that many values hold at once, as the certificate that hundreds of listeners name. A copy costs a pointer, and
// is known to be equal without a look at it. It reads as what it holds, and never changes.
#pragma once

#include <string>
#include <utility>

#include "base/shared.h"

namespace sluice::plan {

class SharedText {
public:
    SharedText() = default;
    SharedText(std::string text) : text_(std::move(text)) {}
    operator const std::string&() const { return *text_; }

    [[nodiscard]] bool empty() const { return text_->empty(); }
    bool operator==(const SharedText&) const = default;

private:
    Shared<std::string> text_{std::string()};  // never null, but in what was moved from
};

}  // namespace sluice::plan
