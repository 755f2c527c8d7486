// SPDX-License-Identifier: Apache-2.0
// What an apply writes, in the order of the calls: the config, backends, rings, listeners, and last the generation.
#include <netinet/in.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <span>

#include "agent/apply/convert.h"
#include "agent/apply/ring.h"
#include "agent/apply/state.h"

namespace sluice::apply {
namespace {

constexpr std::uint32_t kUdpIdleSeconds = 60;
constexpr sl_listener kProxied{.id = kProxiedId, .served_by = SL_SERVED_BY_PROXY, .pad = {}};

bool same(const sl_listener& a, const sl_listener& b) { return a.id == b.id && a.served_by == b.served_by; }

bool same(const sl_backend& a, const sl_backend& b)
{
    return key_of(a) == key_of(b) && a.flags == b.flags && a.ifindex == b.ifindex && a.generation == b.generation &&
           std::ranges::equal(a.source_be, b.source_be);
}

}  // namespace

// The id that the group had, in this process or (by its addresses, in the adopted table) in the one before.
// kProxiedId: it had none.
std::uint32_t Applier::State::held_id(const std::string& name, const Group& group)
{
    if (const auto known = group_ids.find(name); known != group_ids.end())
        return known->second;
    std::set<std::uint32_t> used{kProxiedId};
    for (const auto& [other, id] : group_ids)
        used.insert(id);
    for (const ListenerKey& key : group.keys) {
        const auto held = listeners.find(key);
        if (held != listeners.end() && !used.contains(held->second.id))
            return group_ids[name] = held->second.id;
    }
    return kProxiedId;
}

// That or a free one. kProxiedId: none is left.
std::uint32_t Applier::State::id_of(const std::string& name, const Group& group)
{
    if (const std::uint32_t held = held_id(name, group); held != kProxiedId)
        return held;
    std::set<std::uint32_t> used{kProxiedId};
    for (const auto& [other, id] : group_ids)
        used.insert(id);
    for (const auto& [key, value] : listeners)
        used.insert(value.id);
    for (std::uint32_t id = 1; id < SL_LISTENER_IDS_MAX; ++id) {
        if (used.contains(id))
            continue;
        (void)tables->counters.clear(id);  // counters of an earlier owner mislead, but do not stop anyone
        return group_ids[name] = id;
    }
    return kProxiedId;
}

// A backend that is new differs from whoever had its id in an earlier process, since the tables' generation only grows.
// One that returns keeps the TCP connections that it still has, but not the UDP flows, which were to leave it: it may
// have returned for another listener.
std::uint32_t Applier::State::generation_of(const BackendKey& key, const sl_backend* known) const
{
    const std::uint32_t before = known == nullptr ? 0 : known->generation;
    if (before != 0 && (key.proto != IPPROTO_UDP || (known->flags & SL_BACKEND_DRAINING) == 0))
        return before;
    return std::max(std::max(before, generation) + 1, 1U);  // never 0
}

Result<void> Applier::State::write_backend(const BackendKey& key, const Reach& reach)
{
    const auto known = backend_ids.find(key);
    const bool is_new = known == backend_ids.end();
    const std::uint32_t id = is_new ? next_backend_id : known->second;
    sl_backend value{};
    value.generation = generation_of(key, is_new ? nullptr : &backends[id]);
    to_words(key.endpoint.address, value.addr_be);
    value.port_be = htons(key.endpoint.port);
    value.proto = key.proto;
    value.flags = reach.kind == Reach::Kind::Local ? SL_BACKEND_LOCAL : 0;
    value.ifindex = reach.ifindex;
    to_words(reach.source, value.source_be);
    if (!is_new && same(backends[id], value))
        return {};
    if (auto set = tables->backends.set(id, value); !set)
        return set;
    changed = true;
    backends[id] = value;
    backend_ids[key] = id;
    if (is_new)
        ++next_backend_id;
    return {};
}

Result<void> Applier::State::write_backends(const Group& group, const Desired& desired)
{
    for (const Share& share : group.shares) {
        if (share.refused)
            continue;
        if (auto backend = write_backend(share.backend, desired.backends.at(share.backend)); !backend)
            return backend;
    }
    return {};
}

void Applier::State::add_pending(const std::string& name, const Group& group, std::vector<PendingRing>& pending) const
{
    std::vector<RingMember> members;
    for (const Share& share : group.shares) {
        if (share.refused)
            members.push_back({0, share.weight, SL_BACKEND_NONE});
        else
            members.push_back({backend_identity(share.backend.endpoint.address.bytes(), share.backend.endpoint.port,
                                                share.backend.proto),
                               share.weight, backend_ids.at(share.backend)});
    }
    const std::uint32_t id = group_ids.at(name);
    const RingSlots slots = make_ring(std::move(members));
    if (const auto held = rings.find(id); held == rings.end() || !std::ranges::equal(held->second, slots))
        pending.push_back({name, id, {slots.begin(), slots.end()}});
}

// All in one call: the kernel waits for its programs once a call.
void Applier::State::write_rings(std::vector<PendingRing> pending, std::map<std::string, Error>& failed)
{
    std::vector<maps::Rings::NewRing> wanted;
    for (const PendingRing& ring : pending)
        wanted.push_back({ring.id, std::span<const std::uint32_t, SL_RING_SLOTS>(ring.slots)});
    const auto results = tables->rings.set_many(wanted);
    for (std::size_t i = 0; i < pending.size(); ++i) {
        if (!results[i]) {
            failed.emplace(pending[i].group, results[i].error());
            continue;
        }
        changed = true;
        auto& held = rings[pending[i].id];
        const std::set<std::uint32_t> stay(pending[i].slots.begin(), pending[i].slots.end());
        for (const std::uint32_t backend : held)
            if (!stay.contains(backend))
                lost.emplace(pending[i].id, backend);
        held = std::move(pending[i].slots);
    }
}

Result<void> Applier::State::set_listeners(const std::vector<ListenerKey>& keys, const sl_listener& value)
{
    for (const ListenerKey& key : keys) {
        if (const auto held = listeners.find(key); held != listeners.end() && same(held->second, value))
            continue;
        if (auto set = tables->listeners.set(to_abi(key), value); !set)
            return set;
        changed = true;
        listeners[key] = value;
    }
    return {};
}

// One that the proxy relays has the id by which the kernel forwarded it, if it did: connections go on by it.
sl_listener Applier::State::listener_of(const std::string& name, const Group& group)
{
    if (group.relayed.empty())
        return {.id = group_ids.at(name), .served_by = SL_SERVED_BY_KERNEL, .pad = {}};
    return {.id = held_id(name, group), .served_by = SL_SERVED_BY_PROXY, .pad = {}};
}

std::map<std::string, Error> Applier::State::write_groups(const Desired& desired)
{
    std::map<std::string, Error> failed;
    std::vector<PendingRing> pending;
    for (const auto& [name, group] : desired.groups) {
        if (!group.relayed.empty())
            continue;
        if (id_of(name, group) == kProxiedId)
            failed.emplace(name, Error{0, "too many TCP and UDP listeners",
                                       "at most " + std::to_string(SL_LISTENER_IDS_MAX - 1) +
                                           " with IPv4 and IPv6 counted singly"});
        else if (auto written = write_backends(group, desired); !written)
            failed.emplace(name, written.error());
        else
            add_pending(name, group, pending);
    }
    write_rings(std::move(pending), failed);
    for (const auto& [name, group] : desired.groups) {
        if (failed.contains(name))
            continue;
        if (auto set = set_listeners(group.keys, listener_of(name, group)); !set)
            failed.emplace(name, set.error());
    }
    return failed;
}

std::map<std::string, Error> Applier::State::write_proxied(const Desired& desired)
{
    std::map<std::string, Error> failed;
    for (const auto& [key, names] : desired.proxied) {
        const auto set = set_listeners({key}, kProxied);
        for (const std::string& name : names)
            if (!set)
                failed.emplace(name, set.error());
    }
    return failed;
}

Result<void> Applier::State::write_config()
{
    const auto held = tables->config.get(0);
    if (!held)
        return std::unexpected(held.error());
    sl_config config = held->value_or(sl_config{});
    const sl_config before = config;
    config.udp_idle_s = kUdpIdleSeconds;
    if (config.seed[0] == 0 && config.seed[1] == 0) {
        std::random_device random;
        config.seed[0] = random() | 1U;
        config.seed[1] = random();
    }
    const auto bytes = [](const sl_config& value) { return std::as_bytes(std::span(&value, 1)); };
    if (*held && std::ranges::equal(bytes(before), bytes(config)))
        return {};
    changed = true;
    return tables->config.set(0, config);
}

// Last: who reads the generation finds the tables that belong to it.
Result<void> Applier::State::write_generation()
{
    if (!changed)
        return {};
    const auto held = tables->config.get(0);
    if (!held)
        return std::unexpected(held.error());
    sl_config config = held->value_or(sl_config{});
    config.generation = generation + 1;
    if (auto set = tables->config.set(0, config); !set)
        return set;
    ++generation;
    changed = false;
    return {};
}

}  // namespace sluice::apply
