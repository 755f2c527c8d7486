// SPDX-License-Identifier: Apache-2.0
// A field section of HTTP/2 as it arrives, bounded in bytes and number. nghttp2 has checked each name and value by
// RFC 9113 section 8.2.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/proxy/http1.h"

namespace sluice::proxy {

// The pseudo-fields that are used here (RFC 9113 sections 8.3.1 and 8.3.2).
enum class Pseudo : std::uint8_t { Method, Authority, Path, Status };

class Http2Fields {
public:
    // What is beyond the limits is dropped, and `too_large` says so.
    void add(std::string_view name, std::string_view value, std::size_t bytes_max, std::size_t count_max);
    void clear();
    [[nodiscard]] bool too_large() const { return too_large_; }
    // So far beyond the limits that reading on serves nobody but an attacker.
    [[nodiscard]] bool is_flood() const { return dropped_ > kDroppedMax; }
    // The same few bytes over and over: `encoded` is what they came in.
    [[nodiscard]] bool is_bomb(std::size_t encoded) const { return too_large_ && seen_ > kBombRatio * encoded; }
    [[nodiscard]] std::string_view pseudo(Pseudo which) const;  // empty: none
    // The others, as views into this object; the crumbs of Cookie are one field (RFC 9113 section 8.2.3).
    // Returns how many.
    [[nodiscard]] std::uint8_t fill(std::span<http1::Header> headers) const;

private:
    struct Entry {
        std::uint32_t name;
        std::uint32_t name_size;
        std::uint32_t value;
        std::uint32_t value_size;
    };
    [[nodiscard]] http1::Header header(const Entry& entry) const;
    [[nodiscard]] std::string_view value(const Entry& entry) const;
    std::string text_;
    std::vector<Entry> entries_;
    std::array<std::uint8_t, 4> pseudo_{};  // their places in `entries_`, counted from 1; 0: none
    std::string cookie_;
    static constexpr std::size_t kDroppedMax = 256;
    static constexpr std::size_t kBombRatio = 16;
    std::size_t dropped_ = 0;
    std::size_t seen_ = 0;  // bytes of all fields
    bool too_large_ = false;
};

}  // namespace sluice::proxy
