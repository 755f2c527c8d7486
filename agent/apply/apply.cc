// SPDX-License-Identifier: Apache-2.0
#include "agent/apply/apply.h"

#include <algorithm>
#include <map>
#include <set>

#include "agent/apply/convert.h"
#include "agent/apply/state.h"

namespace sluice::apply {

Result<void> Applier::State::adopt()
{
    const auto held_listeners = tables->listeners.entries();
    if (!held_listeners)
        return std::unexpected(held_listeners.error());
    for (const auto& [key, value] : *held_listeners)
        listeners.emplace(from_abi(key), value);
    const auto held_backends = tables->backends.entries();
    if (!held_backends)
        return std::unexpected(held_backends.error());
    for (const auto& [id, value] : *held_backends) {
        backends.emplace(id, value);
        backend_ids.emplace(key_of(value), id);
        next_backend_id = std::max(next_backend_id, id + 1);
    }
    const auto held_rings = tables->rings.ids();
    if (!held_rings)
        return std::unexpected(held_rings.error());
    for (const std::uint32_t id : *held_rings) {
        auto slots = tables->rings.get(id);
        if (!slots)
            return std::unexpected(slots.error());
        rings[id] = slots->value_or(std::vector<std::uint32_t>{});
    }
    const auto config = tables->config.get(0);
    if (!config)
        return std::unexpected(config.error());
    if (*config)
        generation = (*config)->generation;
    return {};
}

Reach Applier::State::reach(const IpAddress& address, const std::vector<unsigned>& uplinks) const
{
    const auto route = network->route_to(address);
    if (!route)
        return {Reach::Kind::Remote, 0};  // the FIB decides again when a packet comes
    if (route->local)
        return {Reach::Kind::Self, 0};
    if (route->gateway || std::ranges::find(uplinks, route->ifindex) != uplinks.end())
        return {Reach::Kind::Remote, 0};
    return {Reach::Kind::Local, route->ifindex};
}

Applier::Applier(std::unique_ptr<State> state) : state_(std::move(state)) {}
Applier::~Applier() = default;
Applier::Applier(Applier&&) noexcept = default;
Applier& Applier::operator=(Applier&&) noexcept = default;

Result<Applier> Applier::make(const maps::Tables& tables, loader::Network& network, AttachLinks attach)
{
    auto state = std::make_unique<State>();
    state->tables = &tables;
    state->network = &network;
    state->attach = std::move(attach);
    if (auto adopted = state->adopt(); !adopted)
        return std::unexpected(adopted.error());
    return Applier(std::move(state));
}

Result<Outcome> Applier::apply(const plan::Plan& plan, const Facts& facts)
{
    State& state = *state_;
    std::map<IpAddress, Reach> reached;
    const Desired desired = make_desired(plan, facts.node_addresses, [&](const IpAddress& address) {
        const auto known = reached.find(address);
        return known != reached.end() ? known->second : reached[address] = state.reach(address, facts.uplinks);
    });

    std::set<unsigned> links;
    for (const auto& [key, reach] : desired.backends) {
        if (reach.kind == Reach::Kind::Local)
            links.insert(reach.ifindex);
    }
    for (const auto& [id, backend] : state.backends) {  // also those that still drain
        if ((backend.flags & SL_BACKEND_LOCAL) != 0)
            links.insert(backend.ifindex);
    }
    if (auto attached = state.attach({links.begin(), links.end()}); !attached)
        return std::unexpected(attached.error());
    if (auto config = state.write_config(facts); !config)
        return std::unexpected(config.error());

    std::map<std::string, L4ListenerState> states;
    std::set<ListenerKey> wanted(desired.proxied.begin(), desired.proxied.end());
    for (const auto& [name, group] : desired.groups) {
        wanted.insert(group.keys.begin(), group.keys.end());
        L4ListenerState& listener = states[group.listener];
        listener.listener = group.listener;
        if (!group.only_loopback && !group.relayed.empty())
            listener.relayed = group.relayed;
    }
    for (const auto& [name, error] : state.write_groups(desired))
        states[desired.groups.at(name).listener].problem = to_string(error);
    if (auto written = state.write_proxied(desired.proxied); !written)
        return std::unexpected(written.error());
    if (auto removed = state.remove_listeners(wanted); !removed)
        return std::unexpected(removed.error());
    if (auto released = state.release_groups(desired); !released)
        return std::unexpected(released.error());
    if (auto drained = state.drain_backends(desired); !drained)
        return std::unexpected(drained.error());

    if (auto written = state.write_generation(); !written)
        return std::unexpected(written.error());
    state.read_back_all(desired, states);
    Outcome outcome;
    for (auto& [name, listener] : states)
        outcome.l4.push_back(std::move(listener));
    outcome.generation = state.generation;
    return outcome;
}

}  // namespace sluice::apply
