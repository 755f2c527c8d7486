// SPDX-License-Identifier: Apache-2.0
// How much of something a peer may do: so much at once, and so much more each second.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sluice::proxy {

class TokenBucket {
public:
    // `now_ms`: of the loop's clock, here and below. It begins full.
    TokenBucket(std::uint32_t most, std::uint32_t per_second, std::uint64_t now_ms)
        : most_(most), per_second_(per_second), left_(most), filled_ms_(now_ms)
    {
    }

    // False: there was none.
    [[nodiscard]] bool take(std::uint64_t now_ms)
    {
        if (left_ == 0)
            fill(now_ms);
        if (left_ == 0)
            return false;
        --left_;
        return true;
    }

    void add(std::uint32_t count) { left_ = std::min(most_, left_ + count); }

private:
    void fill(std::uint64_t now_ms)
    {
        const std::uint64_t earned = (now_ms - filled_ms_) * per_second_ / 1000;
        left_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(most_, earned));
        if (earned > 0)
            filled_ms_ = now_ms;
    }

    std::uint32_t most_;
    std::uint32_t per_second_;
    std::uint32_t left_;
    std::uint64_t filled_ms_;  // all that was earned until then is counted
};

}  // namespace sluice::proxy
