// SPDX-License-Identifier: Apache-2.0
// What an apply takes away, after everything new is in place: listeners, their rings and flows, and backends, which
// drain until their last flow is gone.
#include <algorithm>
#include <cstddef>
#include <utility>

#include "agent/apply/convert.h"
#include "agent/apply/state.h"

namespace sluice::apply {
namespace {

constexpr std::size_t kLeasesASweep = 16'384;  // some milliseconds; a full table takes 16 sweeps

sl_reply_key reply_of(const sl_flow_key& key, const sl_flow& flow, const sl_backend& backend)
{
    sl_reply_key reply{};
    std::ranges::copy(backend.addr_be, reply.backend_be);
    std::ranges::copy(flow.source_be, reply.source_be);
    reply.backend_port_be = backend.port_be;
    reply.source_port_be = flow.source_port_be;
    reply.proto = key.proto;
    return reply;
}

}  // namespace

Result<void> Applier::State::remove_listeners(const std::set<ListenerKey>& wanted)
{
    for (auto held = listeners.begin(); held != listeners.end();) {
        if (wanted.contains(held->first)) {
            ++held;
            continue;
        }
        if (auto erased = tables->listeners.erase(to_abi(held->first)); !erased)
            return erased;
        changed = true;
        held = listeners.erase(held);
    }
    return {};
}

// Ids that no listener has any more: their ring and their flows go, then they are free.
Result<void> Applier::State::release_groups(const Desired& desired)
{
    std::set<std::uint32_t> live;
    for (const auto& [key, value] : listeners)
        live.insert(value.id);
    std::set<std::uint32_t> released;
    for (const auto& [id, slots] : rings) {
        if (!live.contains(id))
            released.insert(id);
    }
    const auto is_released = [&](const sl_flow_key&, const sl_flow& flow) {
        return released.contains(flow.listener_id);
    };
    if (auto purged = released.empty() ? Result<void>() : purge_flows(is_released); !purged)
        return purged;
    for (const std::uint32_t id : released) {
        if (auto erased = tables->rings.erase(id); !erased)
            return erased;
        changed = true;
        rings.erase(id);
    }
    std::erase_if(group_ids, [&](const auto& group) {
        return !desired.groups.contains(group.first) || released.contains(group.second);
    });
    return {};
}

// The ring of a listener that the proxy relays now names nobody, so that its backends drain; TCP connections that the
// kernel forwards go on until they end. A ring that cannot be replaced is tried again by the next apply.
void Applier::State::empty_relayed_rings()
{
    std::set<std::uint32_t> forwarded;
    for (const auto& [key, value] : listeners) {
        if (value.served_by == SL_SERVED_BY_KERNEL)
            forwarded.insert(value.id);
    }
    std::vector<PendingRing> pending;
    for (const auto& [id, slots] : rings) {
        const bool is_empty = std::ranges::all_of(slots, [](std::uint32_t slot) { return slot == SL_BACKEND_NONE; });
        if (!forwarded.contains(id) && !is_empty)
            pending.push_back({"", id, std::vector<std::uint32_t>(SL_RING_SLOTS, SL_BACKEND_NONE)});
    }
    std::map<std::string, Error> failed;
    write_rings(std::move(pending), failed);
}

// UDP flows of listeners to backends that only others have now. TCP connections go on, and the programs see themselves
// to flows whose backend is draining.
Result<void> Applier::State::end_lost_udp()
{
    std::erase_if(lost, [this](const auto& one) {
        const auto backend = backends.find(one.second);
        const auto ring = rings.find(one.first);
        return backend == backends.end() || backend->second.proto != IPPROTO_UDP ||
               (backend->second.flags & SL_BACKEND_DRAINING) != 0 ||
               (ring != rings.end() && std::ranges::find(ring->second, one.second) != ring->second.end());
    });
    const auto is_lost = [this](const sl_flow_key& key, const sl_flow& flow) {
        return key.proto == IPPROTO_UDP && lost.contains({flow.listener_id, flow.backend_id});
    };
    if (auto purged = lost.empty() ? Result<void>() : purge_flows(is_lost); !purged)
        return purged;
    lost.clear();
    return {};
}

Result<void> Applier::State::purge_flows(const IsObsolete& is_obsolete)
{
    const auto flows = tables->flows.entries();
    if (!flows)
        return std::unexpected(flows.error());
    for (const auto& [key, flow] : *flows) {
        if (!is_obsolete(key, flow))
            continue;
        if (const auto backend = backends.find(flow.backend_id); backend != backends.end()) {
            if (auto erased = tables->replies.erase(reply_of(key, flow, backend->second)); !erased)
                return erased;
        }
        if (auto erased = tables->flows.erase(key); !erased)
            return erased;
    }
    return {};
}

// What new flows can reach: a ring that could not be replaced goes on serving with the backends it names.
std::set<std::uint32_t> Applier::State::in_rings() const
{
    std::set<std::uint32_t> ids;
    for (const auto& [listener, slots] : rings)
        ids.insert(slots.begin(), slots.end());
    return ids;
}

Result<void> Applier::State::drain_backends(const Desired& desired)
{
    const auto reachable = in_rings();
    for (auto& [id, backend] : backends) {
        if (desired.backends.contains(key_of(backend)) || (backend.flags & SL_BACKEND_DRAINING) != 0 ||
            reachable.contains(id))
            continue;
        sl_backend draining = backend;
        draining.flags |= SL_BACKEND_DRAINING;
        if (auto set = tables->backends.set(id, draining); !set)
            return set;
        changed = true;
        backend = draining;
    }
    return {};
}

// Whether a flow has the reply tuple, and not another one.
Result<bool> Applier::State::is_leased(const sl_reply_key& reply, const sl_flow_key& owner) const
{
    const auto flow = tables->flows.get(owner);
    if (!flow)
        return std::unexpected(flow.error());
    if (!*flow)
        return false;
    const auto backend = backends.find((*flow)->backend_id);
    return backend != backends.end() && same_bytes(reply_of(owner, **flow, backend->second), reply);
}

// Reply tuples whose flow is gone, evicted from a full table for instance: each holds a source port of its backend. One
// without a flow may be of a flow that a program is about to make, so only the second look counts.
Result<void> Applier::State::free_leases()
{
    for (const auto& [reply, owner] : std::exchange(idle_leases, {})) {
        const auto holder = tables->replies.get(reply);
        if (!holder)
            return std::unexpected(holder.error());
        if (!*holder || !same_bytes(**holder, owner))
            continue;
        const auto leased = is_leased(reply, owner);
        if (!leased)
            return std::unexpected(leased.error());
        if (*leased)
            continue;
        if (auto erased = tables->replies.erase(reply); !erased)
            return erased;
    }
    std::size_t seen = 0;
    do {
        const auto entries = tables->replies.next_entries(lease_cursor);
        if (!entries)
            return std::unexpected(entries.error());
        for (const auto& entry : *entries) {
            const auto leased = is_leased(entry.first, entry.second);
            if (!leased)
                return std::unexpected(leased.error());
            if (!*leased)
                idle_leases.push_back(entry);
        }
        seen += entries->size();
    } while (lease_cursor && seen < kLeasesASweep);
    return {};
}

Result<std::size_t> Applier::collect_garbage()
{
    State& state = *state_;
    if (auto freed = state.free_leases(); !freed)
        return std::unexpected(freed.error());
    std::set<std::uint32_t> draining;
    for (const auto& [id, backend] : state.backends) {
        if ((backend.flags & SL_BACKEND_DRAINING) != 0)
            draining.insert(id);
    }
    if (draining.empty())
        return 0;
    const auto flows = state.tables->flows.entries();
    if (!flows)
        return std::unexpected(flows.error());
    std::set<std::uint32_t> in_use = state.in_rings();
    for (const auto& [key, flow] : *flows)
        in_use.insert(flow.backend_id);
    std::size_t left = 0;
    for (const std::uint32_t id : draining) {
        if (in_use.contains(id)) {
            ++left;
            continue;
        }
        if (auto erased = state.tables->backends.erase(id); !erased)
            return std::unexpected(erased.error());
        state.backend_ids.erase(key_of(state.backends[id]));
        state.backends.erase(id);
    }
    return left;
}

}  // namespace sluice::apply
