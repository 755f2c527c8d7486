// SPDX-License-Identifier: Apache-2.0
// Where something stands in an object, for messages: "spec.rules[0].backendRefs[1]". Written out only when there is
// something to say, since a plan goes by thousands of fields that are as they should be.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::plan {

class FieldPath {
public:
    explicit FieldPath(std::string_view name, std::optional<std::size_t> index = {}) : name_(name), index_(index) {}
    // `parent` and the text of `name` must outlive it.
    FieldPath(const FieldPath& parent, std::string_view name, std::optional<std::size_t> index = {})
        : parent_(&parent), name_(name), index_(index)
    {
    }

    [[nodiscard]] std::string to_string() const
    {
        std::string text = parent_ == nullptr ? "" : parent_->to_string() + ".";
        text += name_;
        if (index_)
            text += "[" + std::to_string(*index_) + "]";
        return text;
    }

private:
    const FieldPath* parent_ = nullptr;
    std::string_view name_;
    std::optional<std::size_t> index_;
};

}  // namespace sluice::plan
