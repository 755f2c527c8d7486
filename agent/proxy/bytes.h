// SPDX-License-Identifier: Apache-2.0
// Received bytes and who owns them: a view into one buffer of the loop, or a copy where a message arrives in pieces.
// Moved from the connection that read them to the one that sends them; whoever sends keeps them until they are sent.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "agent/proxy/io.h"

namespace sluice::proxy {

class Bytes {
public:
    Bytes() = default;
    explicit Bytes(Buffer buffer) : buffer_(std::move(buffer)) {}
    explicit Bytes(std::string text) : spill_(std::move(text)), spilled_(true) {}
    Bytes(Bytes&& other) noexcept { *this = std::move(other); }
    Bytes& operator=(Bytes&& other) noexcept
    {
        buffer_ = std::move(other.buffer_);
        spill_ = std::move(other.spill_);
        used_ = std::exchange(other.used_, 0);
        spilled_ = std::exchange(other.spilled_, false);
        other.spill_.clear();
        return *this;
    }
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;
    ~Bytes() = default;

    [[nodiscard]] std::string_view view() const
    {
        return (spilled_ ? std::string_view(spill_) : buffer_.view()).substr(used_);
    }
    [[nodiscard]] bool empty() const { return view().empty(); }
    [[nodiscard]] std::size_t size() const { return view().size(); }
    [[nodiscard]] char* data() { return (spilled_ ? spill_.data() : buffer_.data()) + used_; }

    void append(Buffer buffer)
    {
        if (empty()) {
            clear();
            buffer_ = std::move(buffer);
            return;
        }
        keep();
        spill_ += buffer.view();
    }
    // Copies what is left and gives the loop's buffer back: before a wait whose end the sender decides.
    void keep()
    {
        if (spilled_)
            return;
        std::string copy(view());
        clear();
        spill_ = std::move(copy);
        spilled_ = true;
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
        std::string stays(view().substr(rest));
        Bytes front = std::move(*this);
        if (front.spilled_)
            front.spill_.resize(front.used_ + count);
        else
            front.buffer_.shrink(static_cast<std::uint32_t>(front.used_ + count));
        clear();
        if (!stays.empty())
            *this = Bytes(std::move(stays));
        return front;
    }
    void clear()
    {
        buffer_.reset();
        std::string().swap(spill_);  // an idle connection holds no memory of its last request
        spilled_ = false;
        used_ = 0;
    }

private:
    Buffer buffer_;
    std::string spill_;
    std::size_t used_ = 0;
    bool spilled_ = false;
};

}  // namespace sluice::proxy
