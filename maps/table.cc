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
#include <cstring>
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

constexpr std::size_t kCounterWords = sizeof(sl_counters) / sizeof(std::uint64_t);

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

// Programs insert and evict while this walks: an entry may be missed or, when the walk is thrown back to the start
// because its key went away, seen twice. So the walk ends after twice the capacity at the latest, and doubles go.
template <class Key, class Value> Result<std::vector<std::pair<Key, Value>>> Table<Key, Value>::entries() const
{
    const auto capacity = max_entries(fd_, name_);
    if (!capacity)
        return std::unexpected(capacity.error());
    std::vector<std::pair<Key, Value>> found;
    Key key{};
    const Key* previous = nullptr;
    for (std::uint64_t steps = 0; steps < 2ULL * *capacity + 1; steps++) {
        Key next{};
        if (const int error = bpf_map_get_next_key(fd_, previous, &next); error != 0) {
            if (error == -ENOENT)
                break;
            return fail(error, "bpf_map_get_next_key", subject_of(name_));
        }
        key = next;
        previous = &key;
        auto value = get(key);
        if (!value)
            return std::unexpected(value.error());
        if (*value)
            found.emplace_back(key, **value);
    }
    const auto bytes_less = [](const auto& a, const auto& b) {
        return std::memcmp(&a.first, &b.first, sizeof(Key)) < 0;
    };
    const auto bytes_equal = [](const auto& a, const auto& b) {
        return std::memcmp(&a.first, &b.first, sizeof(Key)) == 0;
    };
    std::ranges::sort(found, bytes_less);
    found.erase(std::unique(found.begin(), found.end(), bytes_equal), found.end());
    return found;
}

template class Table<sl_listener_key, sl_listener>;
template class Table<std::uint32_t, sl_backend>;
template class Table<sl_flow_key, sl_flow>;
template class Table<sl_reply_key, sl_flow_key>;
template class Table<std::uint32_t, sl_config>;

Result<void> Rings::set(std::uint32_t listener_id, std::span<const std::uint32_t, SL_RING_SLOTS> slots) const
{
    const UniqueFd inner(bpf_map_create(BPF_MAP_TYPE_ARRAY, "sl_ring", sizeof(std::uint32_t), sizeof(std::uint32_t),
                                        SL_RING_SLOTS, nullptr));
    if (!inner.valid())
        return fail(errno, "bpf_map_create", subject_of(SL_MAP_RINGS, listener_id));
    std::vector<std::uint32_t> keys(SL_RING_SLOTS);
    std::iota(keys.begin(), keys.end(), 0U);
    std::uint32_t count = SL_RING_SLOTS;
    if (const int error = bpf_map_update_batch(inner.get(), keys.data(), slots.data(), &count, nullptr); error != 0)
        return fail(error, "bpf_map_update_batch", subject_of(SL_MAP_RINGS, listener_id));
    const int inner_fd = inner.get();
    if (const int error = bpf_map_update_elem(fd_, &listener_id, &inner_fd, BPF_ANY); error != 0)
        return fail(error, "bpf_map_update_elem", subject_of(SL_MAP_RINGS, listener_id));
    return {};
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
        "reason-14",    "reason-15",       "refused_udp", "no_backend", "rewrite",      "malformed", "reason-20",
        "reason-21",    "reason-22",       "reason-23",   "reason-24",  "reason-25",    "reason-26", "reason-27",
        "reason-28",    "reason-29",       "reason-30",   "reason-31"};
    return reason < kNames.size() ? kNames[reason] : "reason-unknown";
}

}  // namespace sluice::maps
