// SPDX-License-Identifier: Apache-2.0
// What an apply takes away, after everything new is in place: listeners, their rings and flows, and backends, which
// drain until their last flow is gone.
#include <algorithm>
#include <cstddef>

#include "agent/apply/convert.h"
#include "agent/apply/state.h"

namespace sluice::apply {

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
            sl_reply_key reply{};
            std::ranges::copy(backend->second.addr_be, reply.backend_be);
            std::ranges::copy(flow.source_be, reply.source_be);
            reply.backend_port_be = backend->second.port_be;
            reply.source_port_be = flow.source_port_be;
            reply.proto = key.proto;
            if (auto erased = tables->replies.erase(reply); !erased)
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

Result<std::size_t> Applier::collect_garbage()
{
    State& state = *state_;
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
