// SPDX-License-Identifier: Apache-2.0
// Typed access to the pinned maps. A Table borrows its descriptor from the loader's Dataplane, which must outlive it.
// Every error names the map and the operation. Not thread-safe: the control thread owns all writes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "maps/abi.h"

namespace sluice::maps {

template <class Key, class Value> class Table {
public:
    Table() = default;
    Table(int fd, const char* name) : fd_(fd), name_(name) {}
    [[nodiscard]] Result<std::optional<Value>> get(const Key& key) const;
    [[nodiscard]] Result<void> set(const Key& key, const Value& value) const;
    [[nodiscard]] Result<void> erase(const Key& key) const;  // an absent key is no error
    using Entries = std::vector<std::pair<Key, Value>>;
    [[nodiscard]] Result<Entries> entries() const;
    // The same piece by piece, some thousands at a time, from where `cursor` says: empty, it is at the beginning, and
    // it is empty again at the end.
    using Cursor = std::optional<Key>;
    [[nodiscard]] Result<Entries> next_entries(Cursor& cursor) const;

private:
    int fd_ = -1;
    const char* name_ = "";
};

using Listeners = Table<sl_listener_key, sl_listener>;
using Backends = Table<std::uint32_t, sl_backend>;
using Flows = Table<sl_flow_key, sl_flow>;
using Replies = Table<sl_reply_key, sl_flow_key>;
using Config = Table<std::uint32_t, sl_config>;  // one entry, key 0

// sl_rings: listener id -> inner array of SL_RING_SLOTS backend ids. A ring is replaced whole, by one pointer
// swap in the kernel: no packet sees a mixture.
class Rings {
public:
    Rings() = default;
    explicit Rings(int fd) : fd_(fd) {}
    struct NewRing {
        std::uint32_t listener_id = 0;
        std::span<const std::uint32_t, SL_RING_SLOTS> slots;
    };
    [[nodiscard]] Result<void> set(std::uint32_t listener_id,
                                   std::span<const std::uint32_t, SL_RING_SLOTS> slots) const;
    // A result for each, in their order: one that fails keeps its old ring and does not stop the others. The kernel
    // waits until no program reads an old ring, milliseconds, once for some hundred rings: so many in one call.
    [[nodiscard]] std::vector<Result<void>> set_many(std::span<const NewRing> rings) const;
    [[nodiscard]] Result<void> erase(std::uint32_t listener_id) const;
    [[nodiscard]] Result<std::optional<std::vector<std::uint32_t>>> get(std::uint32_t listener_id) const;
    [[nodiscard]] Result<std::vector<std::uint32_t>> ids() const;  // listener ids that have a ring

private:
    int fd_ = -1;
};

// Per-CPU counters, summed over the CPUs.
class Counters {
public:
    Counters() = default;
    Counters(int counters_fd, int drops_fd) : counters_fd_(counters_fd), drops_fd_(drops_fd) {}
    [[nodiscard]] Result<sl_counters> listener(std::uint32_t listener_id) const;
    [[nodiscard]] Result<std::vector<std::uint64_t>>
    reasons(std::uint32_t listener_id) const;                           // SL_REASON_COUNT values
    [[nodiscard]] Result<void> clear(std::uint32_t listener_id) const;  // before an id is used again

private:
    int counters_fd_ = -1;
    int drops_fd_ = -1;
};

struct Tables {
    Listeners listeners;
    Backends backends;
    Rings rings;
    Flows flows;
    Replies replies;
    Counters counters;
    Config config;
};

// "ttl", "fragment", …: the name of a SL_REASON_* number, for status and metrics; "reason-N" for an unknown one.
[[nodiscard]] const char* reason_name(std::uint32_t reason);

}  // namespace sluice::maps
