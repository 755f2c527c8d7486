// SPDX-License-Identifier: Apache-2.0
// Received bytes and who owns them: a view into one buffer of the loop, or a copy where a message arrives in pieces.
// Moved from the connection that read them to the one that sends them; whoever sends keeps them until they are sent.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "agent/proxy/io.h"

namespace sluice::proxy {

// Leaves it as new. Assigning an empty one would leave its strings their memory.
template <class T> void free_memory(T& value)
{
    const T freed(std::move(value));
    value = T();
}

class Bytes {
public:
    Bytes() = default;
    explicit Bytes(Buffer buffer) : buffer_(std::move(buffer)) {}
    explicit Bytes(std::string text) : spill_(std::make_unique<std::string>(std::move(text))) {}
    // Moved at every step of a message, so that calls would cost more than what they do.
    [[gnu::always_inline]] Bytes(Bytes&& other) noexcept
        : buffer_(std::move(other.buffer_)), spill_(std::move(other.spill_)), used_(std::exchange(other.used_, 0))
    {
    }
    [[gnu::always_inline]] Bytes& operator=(Bytes&& other) noexcept
    {
        buffer_ = std::move(other.buffer_);
        spill_ = std::move(other.spill_);
        used_ = std::exchange(other.used_, 0);
        return *this;
    }
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;
    [[gnu::always_inline]] ~Bytes() = default;

    [[nodiscard]] std::string_view view() const
    {
        return (spill_ ? std::string_view(*spill_) : buffer_.view()).substr(used_);
    }
    [[nodiscard]] std::size_t size() const { return (spill_ ? spill_->size() : buffer_.size()) - used_; }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] char* data() { return (spill_ ? spill_->data() : buffer_.data()) + used_; }

    void append(Buffer buffer)
    {
        if (empty()) {
            clear();
            buffer_ = std::move(buffer);
            return;
        }
        keep();
        // A peer that never pauses always leaves a part of a message: what is behind must not pile up.
        spill_->erase(0, std::exchange(used_, 0));
        *spill_ += buffer.view();
    }
    // Copies what is left and gives the loop's buffer back: before a wait whose end the sender decides.
    void keep()
    {
        if (!spill_)
            *this = Bytes(std::string(view()));
    }
    void consume(std::size_t count)
    {
        used_ += count;
        if (empty())
            clear();
    }
    // The first `count` bytes become the result, those from `rest` on stay; what is between is dropped. Copies only
    // what stays.
    [[nodiscard]] Bytes split(std::size_t count, std::size_t rest)
    {
        Bytes stays;
        if (rest < size())
            stays = Bytes(std::string(view().substr(rest)));
        Bytes front = std::exchange(*this, std::move(stays));
        if (front.spill_)
            front.spill_->resize(front.used_ + count);
        else
            front.buffer_.shrink(static_cast<std::uint32_t>(front.used_ + count));
        return front;
    }
    void clear()
    {
        buffer_.reset();
        spill_.reset();
        used_ = 0;
    }

private:
    Buffer buffer_;
    std::unique_ptr<std::string>
        spill_;  // instead of the buffer; an idle connection holds no memory of its last request
    std::size_t used_ = 0;
};

}  // namespace sluice::proxy
