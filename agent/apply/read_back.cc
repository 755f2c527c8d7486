// SPDX-License-Identifier: Apache-2.0
// What the tables really hold after an apply: only that is reported as served.
#include "agent/apply/convert.h"
#include "agent/apply/state.h"

namespace sluice::apply {

// Whether the kernel really holds this group: asked of the maps, not of our memory.
Result<bool> Applier::State::read_back(std::uint32_t id, const Group& group) const
{
    const auto ring = tables->rings.get(id);
    if (!ring)
        return std::unexpected(ring.error());
    const auto written = rings.find(id);
    if (!*ring || written == rings.end() || **ring != written->second)
        return false;
    for (const ListenerKey& key : group.keys) {
        const auto listener = tables->listeners.get(to_abi(key));
        if (!listener)
            return std::unexpected(listener.error());
        if (!*listener || (*listener)->id != id || (*listener)->served_by != SL_SERVED_BY_KERNEL)
            return false;
    }
    for (const Share& share : group.shares) {
        if (share.refused)
            continue;
        const auto backend = tables->backends.get(backend_ids.at(share.backend));
        if (!backend)
            return std::unexpected(backend.error());
        if (!*backend || key_of(**backend) != share.backend || ((*backend)->flags & SL_BACKEND_DRAINING) != 0)
            return false;
    }
    return true;
}

void Applier::State::read_back_all(const Desired& desired, const std::map<std::string, Error>& failed,
                                   std::map<std::string, L4ListenerState>& states) const
{
    for (const auto& [name, group] : desired.groups) {
        L4ListenerState& listener = states[group.listener];
        const auto id = group_ids.find(name);
        if (!group.relayed.empty() || failed.contains(name) || id == group_ids.end())
            continue;
        listener.ids.push_back(id->second);
        const auto there = read_back(id->second, group);
        if (there && *there)
            listener.in_kernel = true;
        else
            listener.problem = there ? "the kernel tables do not hold it" : to_string(there.error());
    }
}

}  // namespace sluice::apply
