// SPDX-License-Identifier: Apache-2.0
// The keys that session tickets are sealed with: one for all listeners and workers, so that a client can resume with
// any of them. The newest seals, the one before still opens. Safe to use from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>

namespace sluice::proxy {

struct TlsTicketKey {
    std::array<std::uint8_t, 16> name{};  // stands in the ticket
    std::array<std::uint8_t, 32> encryption{};
    std::array<std::uint8_t, 32> authentication{};
};

class TlsTicketKeys {
public:
    TlsTicketKeys();
    ~TlsTicketKeys();
    TlsTicketKeys(const TlsTicketKeys&) = delete;
    TlsTicketKeys& operator=(const TlsTicketKeys&) = delete;

    // A new key seals from now on; what was sealed before the last rotation cannot be opened any more. Whoever owns
    // the ring calls it about as often as a ticket may live (kTlsTicketSeconds).
    void rotate();

    [[nodiscard]] TlsTicketKey current() const;
    [[nodiscard]] std::optional<TlsTicketKey> find(std::span<const std::uint8_t, 16> name) const;

private:
    mutable std::mutex mutex_;
    TlsTicketKey current_;
    TlsTicketKey previous_;
};

constexpr std::uint32_t kTlsTicketSeconds = 4 * 3600;

}  // namespace sluice::proxy
