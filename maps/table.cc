// SPDX-License-Identifier: Apache-2.0
// The map operations behind table.h. libbpf's negative errno becomes positive here.
#include "maps/table.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <numeric>
#include <type_traits>

#include "base/unique_fd.h"

namespace sluice::maps {
namespace {

static_assert(std::has_unique_object_representations_v<sl_listener_key>);
static_assert(std::has_unique_object_representations_v<sl_listener>);
static_assert(std::has_unique_object_representations_v<sl_backend>);
static_assert(std::has_unique_object_representations_v<sl_flow_key>);
static_assert(std::has_unique_object_representations_v<sl_flow>);
static_assert(std::has_unique_object_representations_v<sl_reply_key>);
static_assert(std::has_unique_object_representations_v<sl_counters>);
static_assert(std::has_unique_object_representations_v<sl_config>);

std::string subject_of(const char* map) { return map; }
std::string subject_of(const char* map, std::uint32_t id) { return fmt::format("{}[{}]", map, id); }

Result<std::uint32_t> max_entries(int fd, const char* name)
{
    bpf_map_info info{};
    std::uint32_t size = sizeof(info);
    if (const int error = bpf_map_get_info_by_fd(fd, &info, &size); error != 0)
        return fail(error, "bpf_map_get_info_by_fd", subject_of(name));
    return info.max_entries;
}

// Sums a per-CPU value of `words` 64-bit counters.
Result<std::vector<std::uint64_t>> sum_percpu(int fd, const char* name, std::uint32_t index, std::size_t words)
{
    const int cpus = libbpf_num_possible_cpus();
    if (cpus < 1)
        return fail(cpus, "libbpf_num_possible_cpus", subject_of(name));
    std::vector<std::uint64_t> values(words * static_cast<std::size_t>(cpus));
    if (const int error = bpf_map_lookup_elem(fd, &index, values.data()); error != 0)
        return fail(error, "bpf_map_lookup_elem", subject_of(name, index));
    std::vector<std::uint64_t> sums(words);
    for (std::size_t i = 0; i < values.size(); i++)
        sums[i % words] += values[i];
    return sums;
}

Result<void> clear_percpu(int fd, const char* name, std::uint32_t index, std::size_t words)
{
    const int cpus = libbpf_num_possible_cpus();
    if (cpus < 1)
        return fail(cpus, "libbpf_num_possible_cpus", subject_of(name));
    const std::vector<std::uint64_t> zeros(words * static_cast<std::size_t>(cpus));
    if (const int error = bpf_map_update_elem(fd, &index, zeros.data(), BPF_ANY); error != 0)
        return fail(error, "bpf_map_update_elem", subject_of(name, index));
    return {};
}

Result<UniqueFd> inner_of(int fd, std::uint32_t listener_id)
{
    std::uint32_t inner_id = 0;
    if (const int error = bpf_map_lookup_elem(fd, &listener_id, &inner_id); error != 0) {
        if (error == -ENOENT)
            return UniqueFd{};
        return fail(error, "bpf_map_lookup_elem", subject_of(SL_MAP_RINGS, listener_id));
    }
    UniqueFd inner(bpf_map_get_fd_by_id(inner_id));
    if (!inner.valid())
        return fail(errno, "bpf_map_get_fd_by_id", subject_of(SL_MAP_RINGS, listener_id));
    return inner;
}

Result<UniqueFd> make_inner(const Rings::NewRing& ring)
{
    UniqueFd inner(bpf_map_create(BPF_MAP_TYPE_ARRAY, "sl_ring", sizeof(std::uint32_t), sizeof(std::uint32_t),
                                  SL_RING_SLOTS, nullptr));
    if (!inner.valid())
        return fail(errno, "bpf_map_create", subject_of(SL_MAP_RINGS, ring.listener_id));
    std::vector<std::uint32_t> keys(SL_RING_SLOTS);
    std::iota(keys.begin(), keys.end(), 0U);
    std::uint32_t count = SL_RING_SLOTS;
    if (const int error = bpf_map_update_batch(inner.get(), keys.data(), ring.slots.data(), &count, nullptr);
        error != 0)
        return fail(error, "bpf_map_update_batch", subject_of(SL_MAP_RINGS, ring.listener_id));
    return inner;
}

// A batch stops at the first ring that the kernel does not take and says how many it took; that one is then tried
// alone, for its own error, and a batch goes on behind it. A call that is refused whole (EPERM, or ENOTSUPP where this
// map type has no batch) leaves the count as it was: then all go one by one.
std::vector<Result<void>> swap_inners(int fd, std::span<const std::uint32_t> ids, std::span<const UniqueFd> inners)
{
    std::vector<int> fds(inners.size());
    std::ranges::transform(inners, fds.begin(), &UniqueFd::get);
    std::vector<Result<void>> results(ids.size());
    for (std::size_t next = 0; next < ids.size(); next++) {
        const auto left = static_cast<std::uint32_t>(ids.size() - next);
        std::uint32_t count = left;
        if (bpf_map_update_batch(fd, &ids[next], &fds[next], &count, nullptr) == 0)
            break;
        next += count < left ? count : 0;
        if (const int error = bpf_map_update_elem(fd, &ids[next], &fds[next], BPF_ANY); error != 0)
            results[next] = fail(error, "bpf_map_update_elem", subject_of(SL_MAP_RINGS, ids[next]));
    }
    return results;
}

constexpr std::size_t kCounterWords = sizeof(sl_counters) / sizeof(std::uint64_t);
constexpr std::size_t kRingsABatch = 256;  // of descriptors held at once, which a process has few of
constexpr std::uint32_t kEntriesABatch = 4096;

}  // namespace

template <class Key, class Value> Result<std::optional<Value>> Table<Key, Value>::get(const Key& key) const
{
    Value value{};
    if (const int error = bpf_map_lookup_elem(fd_, &key, &value); error != 0) {
        if (error == -ENOENT)
            return std::optional<Value>{};
        return fail(error, "bpf_map_lookup_elem", subject_of(name_));
    }
    return std::optional<Value>(value);
}

template <class Key, class Value> Result<void> Table<Key, Value>::set(const Key& key, const Value& value) const
{
    if (const int error = bpf_map_update_elem(fd_, &key, &value, BPF_ANY); error != 0)
        return fail(error, "bpf_map_update_elem", subject_of(name_));
    return {};
}

template <class Key, class Value> Result<void> Table<Key, Value>::erase(const Key& key) const
{
    if (const int error = bpf_map_delete_elem(fd_, &key); error != 0 && error != -ENOENT)
        return fail(error, "bpf_map_delete_elem", subject_of(name_));
    return {};
}

// Programs insert and evict while this walks. The kernel copies whole buckets, each once and under its lock: an entry
// that comes or goes meanwhile may be missed, none is seen twice.
template <class Key, class Value>
Result<typename Table<Key, Value>::Entries> Table<Key, Value>::next_entries(Cursor& cursor) const
{
    static_assert(sizeof(Key) >=
                  sizeof(std::uint32_t));  // the cursor of a hash is a bucket's number, of an array a key
    const auto capacity = max_entries(fd_, name_);
    if (!capacity)
        return std::unexpected(capacity.error());
    std::vector<Key> keys(std::min(*capacity, kEntriesABatch));
    std::vector<Value> values(keys.size());
    Key behind{};
    std::uint32_t count = 0;
    int error = 0;
    while (true) {
        count = static_cast<std::uint32_t>(keys.size());
        error = bpf_map_lookup_batch(fd_, cursor ? &*cursor : nullptr, &behind, keys.data(), values.data(), &count,
                                     nullptr);
        if (error != -ENOSPC || keys.size() == *capacity)
            break;
        keys.resize(std::min<std::size_t>(*capacity, 2 * keys.size()));  // a bucket holds more than that
        values.resize(keys.size());
    }
    if (error != 0 && error != -ENOENT)
        return fail(error, "bpf_map_lookup_batch", subject_of(name_));
    Entries found;
    found.reserve(count);
    for (std::uint32_t i = 0; i < count; i++)
        found.emplace_back(keys[i], values[i]);
    cursor = error == -ENOENT ? Cursor() : Cursor(behind);
    return found;
}

template <class Key, class Value> Result<typename Table<Key, Value>::Entries> Table<Key, Value>::entries() const
{
    Cursor cursor;
    Entries found;
    do {
        const auto more = next_entries(cursor);
        if (!more)
            return std::unexpected(more.error());
        found.insert(found.end(), more->begin(), more->end());
    } while (cursor);
    return found;
}

template class Table<sl_listener_key, sl_listener>;
template class Table<std::uint32_t, sl_backend>;
template class Table<sl_flow_key, sl_flow>;
template class Table<sl_reply_key, sl_flow_key>;
template class Table<std::uint32_t, sl_config>;

Result<void> Rings::set(std::uint32_t listener_id, std::span<const std::uint32_t, SL_RING_SLOTS> slots) const
{
    const NewRing ring{listener_id, slots};
    return set_many({&ring, 1}).front();
}

std::vector<Result<void>> Rings::set_many(std::span<const NewRing> rings) const
{
    std::vector<Result<void>> results(rings.size());
    for (std::size_t first = 0; first < rings.size(); first += kRingsABatch) {
        std::vector<std::uint32_t> ids;
        std::vector<UniqueFd> inners;
        std::vector<std::size_t> places;
        for (std::size_t i = first; i < std::min(first + kRingsABatch, rings.size()); i++) {
            auto inner = make_inner(rings[i]);
            if (!inner) {
                results[i] = std::unexpected(inner.error());
                continue;
            }
            ids.push_back(rings[i].listener_id);
            inners.push_back(*std::move(inner));
            places.push_back(i);
        }
        auto swapped = swap_inners(fd_, ids, inners);
        for (std::size_t i = 0; i < places.size(); i++)
            results[places[i]] = std::move(swapped[i]);
    }
    return results;
}

Result<void> Rings::erase(std::uint32_t listener_id) const
{
    if (const int error = bpf_map_delete_elem(fd_, &listener_id); error != 0 && error != -ENOENT)
        return fail(error, "bpf_map_delete_elem", subject_of(SL_MAP_RINGS, listener_id));
    return {};
}

Result<std::optional<std::vector<std::uint32_t>>> Rings::get(std::uint32_t listener_id) const
{
    auto inner = inner_of(fd_, listener_id);
    if (!inner)
        return std::unexpected(inner.error());
    if (!inner->valid())
        return std::optional<std::vector<std::uint32_t>>{};
    std::vector<std::uint32_t> keys(SL_RING_SLOTS);
    std::vector<std::uint32_t> slots(SL_RING_SLOTS);
    std::uint32_t count = SL_RING_SLOTS;
    std::uint32_t cursor = 0;
    const int error = bpf_map_lookup_batch(inner->get(), nullptr, &cursor, keys.data(), slots.data(), &count, nullptr);
    if ((error != 0 && error != -ENOENT) || count != SL_RING_SLOTS)
        return fail(error != 0 ? error : EIO, "bpf_map_lookup_batch", subject_of(SL_MAP_RINGS, listener_id));
    return std::optional<std::vector<std::uint32_t>>(std::move(slots));
}

Result<std::vector<std::uint32_t>> Rings::ids() const
{
    std::vector<std::uint32_t> ids;
    for (std::uint32_t id = 0; id < SL_LISTENER_IDS_MAX; id++) {
        std::uint32_t inner_id = 0;
        const int error = bpf_map_lookup_elem(fd_, &id, &inner_id);
        if (error == 0)
            ids.push_back(id);
        else if (error != -ENOENT)
            return fail(error, "bpf_map_lookup_elem", subject_of(SL_MAP_RINGS, id));
    }
    return ids;
}

Result<sl_counters> Counters::listener(std::uint32_t listener_id) const
{
    const auto sums = sum_percpu(counters_fd_, SL_MAP_COUNTERS, listener_id, kCounterWords);
    if (!sums)
        return std::unexpected(sums.error());
    return sl_counters{(*sums)[0], (*sums)[1], (*sums)[2], (*sums)[3], (*sums)[4]};
}

Result<std::vector<std::uint64_t>> Counters::reasons(std::uint32_t listener_id) const
{
    std::vector<std::uint64_t> counts(SL_REASON_COUNT);
    for (std::uint32_t reason = 0; reason < SL_REASON_COUNT; reason++) {
        const auto sums = sum_percpu(drops_fd_, SL_MAP_DROPS, listener_id * SL_REASON_COUNT + reason, 1);
        if (!sums)
            return std::unexpected(sums.error());
        counts[reason] = sums->front();
    }
    return counts;
}

Result<void> Counters::clear(std::uint32_t listener_id) const
{
    if (auto cleared = clear_percpu(counters_fd_, SL_MAP_COUNTERS, listener_id, kCounterWords); !cleared)
        return cleared;
    for (std::uint32_t reason = 0; reason < SL_REASON_COUNT; reason++) {
        const std::uint32_t index = listener_id * SL_REASON_COUNT + reason;
        if (auto cleared = clear_percpu(drops_fd_, SL_MAP_DROPS, index, 1); !cleared)
            return cleared;
    }
    return {};
}

const char* reason_name(std::uint32_t reason)
{
    static constexpr std::array<const char*, SL_REASON_COUNT> kNames{
        "none",         "fragment",        "ip_options",  "ttl",        "no_neighbour", "no_flow",   "refused_tcp",
        "no_snat_port", "no_node_address", "no_route",    "relayed",    "reason-11",    "reason-12", "reason-13",
        "reason-14",    "reason-15",       "refused_udp", "no_backend", "rewrite",      "malformed", "loop",
        "odd_mid_flow", "unroutable",      "too_big",     "reason-24",  "reason-25",    "reason-26", "reason-27",
        "reason-28",    "reason-29",       "reason-30",   "reason-31"};
    return reason < kNames.size() ? kNames[reason] : "reason-unknown";
}

}  // namespace sluice::maps
