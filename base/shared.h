// SPDX-License-Identifier: Apache-2.0
// A value that several owners share and nobody changes: a shared pointer whose comparison is that of what it holds.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace sluice {

template <class T> class Shared {
public:
    Shared(std::nullptr_t = nullptr) {}
    Shared(T value) : value_(std::make_shared<const T>(std::move(value))) {}
    Shared(std::shared_ptr<const T> value) : value_(std::move(value)) {}
    Shared(std::shared_ptr<T> value) : value_(std::move(value)) {}
    operator const std::shared_ptr<const T>&() const { return value_; }

    [[nodiscard]] const T* get() const { return value_.get(); }
    const T* operator->() const { return value_.get(); }
    const T& operator*() const { return *value_; }
    explicit operator bool() const { return value_ != nullptr; }
    // One and the same value is not looked into.
    friend bool operator==(const Shared& a, const Shared& b) { return a.get() == b.get() || (a && b && *a == *b); }

private:
    std::shared_ptr<const T> value_;
};

}  // namespace sluice
