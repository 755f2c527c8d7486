// SPDX-License-Identifier: Apache-2.0
// Received bytes that are not used up yet: usually a view into one buffer of the loop, a copy only when a message head
// arrives in pieces.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "agent/proxy/io.h"

namespace sluice::proxy {

class Input {
public:
    [[nodiscard]] std::string_view view() const
    {
        return (spilled_ ? std::string_view(spill_) : buffer_.view()).substr(used_);
    }
    [[nodiscard]] bool empty() const { return view().empty(); }

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
    void clear()
    {
        buffer_.reset();
        spill_.clear();
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
