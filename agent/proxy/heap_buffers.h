// SPDX-License-Identifier: Apache-2.0
// Buffers of one size out of the heap, at most so many at once. A few of the free ones wait for their next use, the
// last one given back first: its memory is the most likely to be in the caches. One thread's.
#pragma once

#include <memory>
#include <vector>

#include "agent/proxy/io.h"

namespace sluice::proxy {

class HeapBuffers final : public BufferPool {
public:
    HeapBuffers(std::size_t bytes, std::uint16_t max, std::uint16_t kept) : bytes_(bytes), max_(max), kept_(kept) {}

    // Empty: there is no more.
    [[nodiscard]] Buffer take()
    {
        if (free_.empty() && empty_.empty()) {
            if (blocks_.size() >= max_)
                return {};
            empty_.push_back(static_cast<std::uint16_t>(blocks_.size()));
            blocks_.emplace_back();
        }
        std::vector<std::uint16_t>& from = free_.empty() ? empty_ : free_;
        const std::uint16_t id = from.back();
        from.pop_back();
        if (blocks_[id] == nullptr)
            blocks_[id] = std::make_unique_for_overwrite<char[]>(bytes_);
        return {this, blocks_[id].get(), static_cast<std::uint32_t>(bytes_), id};
    }
    [[nodiscard]] bool has_more() const { return !free_.empty() || !empty_.empty() || blocks_.size() < max_; }
    void give_back(std::uint16_t id) override
    {
        if (free_.size() < kept_)
            return free_.push_back(id);
        blocks_[id].reset();
        empty_.push_back(id);
    }

private:
    std::size_t bytes_;
    std::uint16_t max_;
    std::uint16_t kept_;
    std::vector<std::unique_ptr<char[]>> blocks_;
    std::vector<std::uint16_t> free_;   // with memory
    std::vector<std::uint16_t> empty_;  // without
};

}  // namespace sluice::proxy
