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
    for (const auto& [key, value] : *held_listeners) {
        listeners.emplace(from_abi(key), value);
        host_ports.adopt(from_abi(key));
    }
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

Result<void> Applier::State::find_backends(Desired& desired, const plan::Plan& plan, const Facts& facts) const
{
    const auto links = network->links();
    if (!links)
        return std::unexpected(links.error());
    // Where the kernel has no answer now, or a Gateway's own address for one, which other nodes may have as well.
    const auto fallback = [&](bool v4) {
        std::vector<IpAddress> candidates;
        for (const loader::Link& link : *links)
            if (std::ranges::find(facts.uplinks, link.ifindex) != facts.uplinks.end())
                candidates.insert(candidates.end(), link.addresses.begin(), link.addresses.end());
        candidates.insert(candidates.end(), facts.node_addresses.begin(), facts.node_addresses.end());
        const auto first = std::ranges::find(candidates, v4, &IpAddress::is_v4);
        return first == candidates.end() ? IpAddress{} : *first;
    };
    std::map<IpAddress, Reach> known;
    add_backends(desired, plan, [&](const IpAddress& address) {
        const auto [reach, is_new] = known.try_emplace(address);
        if (!is_new)
            return reach->second;
        if (const auto route = network->route_to(address))
            reach->second = reach_by(*route, *links, facts.uplinks);
        IpAddress& source = reach->second.source;
        const bool is_gateways = std::ranges::binary_search(plan.addresses, source) &&
                                 std::ranges::find(facts.host_addresses, source) == facts.host_addresses.end();
        if (source.is_any() || is_gateways)
            source = fallback(address.is_v4());
        return reach->second;
    });
    return {};
}

// The links by which backends answer, also those that still drain.
std::vector<unsigned> Applier::State::backend_links(const Desired& desired) const
{
    std::set<unsigned> found;
    for (const auto& [key, reach] : desired.backends)
        found.insert(reach.ifindex);
    for (const auto& [id, backend] : backends)
        found.insert(backend.ifindex);
    found.erase(0);
    return {found.begin(), found.end()};
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
    Desired desired = make_listeners(plan, facts.node_addresses);
    Outcome outcome;
    leave_to_others(desired, facts.other_nodes);
    outcome.taken = state.host_ports.yield_taken(desired, facts.host_addresses);
    if (auto found = state.find_backends(desired, plan, facts); !found)
        return std::unexpected(found.error());
    if (auto attached = state.attach(state.backend_links(desired)); !attached)
        return std::unexpected(attached.error());
    if (auto config = state.write_config(); !config)
        return std::unexpected(config.error());

    std::map<std::string, L4ListenerState> states;
    for (const auto& [listener, why] : outcome.taken) {
        if (std::ranges::binary_search(plan.l4, listener, {}, &plan::L4Listener::name))
            states[listener] = {.listener = listener, .ids = {}, .in_kernel = false, .relayed = "", .problem = why};
        else
            outcome.problems.emplace(listener, why);
    }
    for (const auto& [name, group] : desired.groups) {
        L4ListenerState& listener = states[group.listener];
        listener.listener = group.listener;
        const std::string& why = group.relayed.empty() ? group.refused : group.relayed;
        if (!group.only_loopback && !why.empty())
            listener.relayed = why;
    }
    const auto failed = state.write_groups(desired);
    for (const auto& [name, error] : failed)
        states[desired.groups.at(name).listener].problem = to_string(error);
    for (const auto& [listener, error] : state.write_proxied(desired))
        outcome.problems.emplace(listener, to_string(error));
    if (auto removed = state.remove_listeners(keys_of(desired)); !removed)
        return std::unexpected(removed.error());
    if (auto released = state.release_groups(desired); !released)
        return std::unexpected(released.error());
    state.empty_relayed_rings();
    if (auto drained = state.drain_backends(desired); !drained)
        return std::unexpected(drained.error());
    if (auto ended = state.end_lost_udp(); !ended)
        return std::unexpected(ended.error());

    if (auto written = state.write_generation(); !written)
        return std::unexpected(written.error());
    state.read_back_all(desired, failed, states);
    for (auto& [name, listener] : states)
        outcome.l4.push_back(std::move(listener));
    outcome.generation = state.generation;
    return outcome;
}

}  // namespace sluice::apply
