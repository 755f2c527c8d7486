// SPDX-License-Identifier: Apache-2.0
#include "agent/apply/apply.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <random>
#include <set>

#include "agent/apply/convert.h"
#include "agent/apply/ring.h"

namespace sluice::apply {
namespace {

constexpr std::uint32_t kProxiedId = 0;  // all listeners that the kernel only passes on
constexpr std::uint32_t kUdpIdleSeconds = 60;

bool same(const sl_listener& a, const sl_listener& b) { return a.id == b.id && a.served_by == b.served_by; }

bool same(const sl_backend& a, const sl_backend& b)
{
    return key_of(a) == key_of(b) && a.flags == b.flags && a.ifindex == b.ifindex && a.generation == b.generation;
}

}  // namespace

struct Applier::State {
    const maps::Tables* tables = nullptr;
    loader::Network* network = nullptr;
    AttachLinks attach;

    // What the tables hold, as of the last write.
    std::map<ListenerKey, sl_listener> listeners;
    std::map<std::uint32_t, sl_backend> backends;
    std::map<BackendKey, std::uint32_t> backend_ids;
    std::map<std::uint32_t, std::vector<std::uint32_t>> rings;  // listener id -> slots
    std::map<std::string, std::uint32_t> group_ids;             // "listener family" -> id
    std::uint32_t next_backend_id = 1;
    std::uint32_t generation = 0;
    bool changed = false;  // something was written since the generation was

    Result<void> adopt();
    Reach reach(const IpAddress& address, const std::vector<unsigned>& uplinks) const;
    std::uint32_t id_of(const std::string& name, const Group& group);
    Result<void> write_backend(const BackendKey& key, const Reach& reach);
    Result<void> write_ring(std::uint32_t id, const Group& group);
    Result<void> write_group(const std::string& name, const Group& group, const Desired& desired);
    Result<void> set_listener(const ListenerKey& key, const sl_listener& value);
    Result<void> remove_listeners(const std::set<ListenerKey>& wanted);
    Result<void> release_groups(const Desired& desired);
    Result<void> purge_flows(const std::set<std::uint32_t>& listener_ids);
    Result<void> drain_backends(const Desired& desired);
    Result<void> write_config(const Facts& facts);
    Result<void> write_generation();
    std::set<std::uint32_t> in_rings() const;
    void read_back_all(const Desired& desired, std::map<std::string, L4ListenerState>& states) const;
    Result<bool> read_back(std::uint32_t id, const Group& group) const;
};

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

// The id that the group had, in this process or (by its addresses, in the adopted table) in the one before; else a
// free one. kProxiedId: none is left.
std::uint32_t Applier::State::id_of(const std::string& name, const Group& group)
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

Result<void> Applier::State::write_backend(const BackendKey& key, const Reach& reach)
{
    const auto known = backend_ids.find(key);
    const bool is_new = known == backend_ids.end();
    const std::uint32_t id = is_new ? next_backend_id : known->second;
    sl_backend value{};
    // A backend that returns keeps the flows that it still has. One that is new differs from whoever had its id in an
    // earlier process, since the tables' generation only grows.
    value.generation = is_new ? generation + 1 : backends[id].generation;
    to_words(key.endpoint.address, value.addr_be);
    value.port_be = htons(key.endpoint.port);
    value.proto = key.proto;
    value.flags = reach.kind == Reach::Kind::Local ? SL_BACKEND_LOCAL : 0;
    value.ifindex = reach.ifindex;
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

Result<void> Applier::State::write_ring(std::uint32_t id, const Group& group)
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
    const RingSlots slots = make_ring(std::move(members));
    if (const auto held = rings.find(id); held != rings.end() && std::ranges::equal(held->second, slots))
        return {};
    if (auto set = tables->rings.set(id, slots); !set)
        return set;
    changed = true;
    rings[id].assign(slots.begin(), slots.end());
    return {};
}

Result<void> Applier::State::set_listener(const ListenerKey& key, const sl_listener& value)
{
    if (const auto held = listeners.find(key); held != listeners.end() && same(held->second, value))
        return {};
    if (auto set = tables->listeners.set(to_abi(key), value); !set)
        return set;
    changed = true;
    listeners[key] = value;
    return {};
}

Result<void> Applier::State::write_group(const std::string& name, const Group& group, const Desired& desired)
{
    sl_listener value{.id = kProxiedId, .served_by = SL_SERVED_BY_PROXY, .pad = {}};
    if (group.relayed.empty()) {
        value = {.id = id_of(name, group), .served_by = SL_SERVED_BY_KERNEL, .pad = {}};
        if (value.id == kProxiedId)
            return fail(0, "too many TCP and UDP listeners",
                        "at most " + std::to_string(SL_LISTENER_IDS_MAX - 1) + " with IPv4 and IPv6 counted singly");
        for (const Share& share : group.shares) {
            if (share.refused)
                continue;
            if (auto backend = write_backend(share.backend, desired.backends.at(share.backend)); !backend)
                return backend;
        }
        if (auto ring = write_ring(value.id, group); !ring)
            return ring;
    }
    for (const ListenerKey& key : group.keys) {
        if (auto set = set_listener(key, value); !set)
            return set;
    }
    return {};
}

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
    if (auto purged = purge_flows(released); !purged)
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

Result<void> Applier::State::purge_flows(const std::set<std::uint32_t>& listener_ids)
{
    if (listener_ids.empty())
        return {};
    const auto flows = tables->flows.entries();
    if (!flows)
        return std::unexpected(flows.error());
    for (const auto& [key, flow] : *flows) {
        if (!listener_ids.contains(flow.listener_id))
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

Result<void> Applier::State::write_config(const Facts& facts)
{
    const auto held = tables->config.get(0);
    if (!held)
        return std::unexpected(held.error());
    sl_config config = held->value_or(sl_config{});
    const sl_config before = config;
    std::vector<IpAddress> candidates;  // the uplinks' own first: replies must come back by them
    const auto links = network->links();
    if (!links)
        return std::unexpected(links.error());
    for (const loader::Link& link : *links) {
        if (std::ranges::find(facts.uplinks, link.ifindex) != facts.uplinks.end())
            candidates.insert(candidates.end(), link.addresses.begin(), link.addresses.end());
    }
    candidates.insert(candidates.end(), facts.node_addresses.begin(), facts.node_addresses.end());
    const auto first = [&](bool v4) {
        const auto found = std::ranges::find(candidates, v4, &IpAddress::is_v4);
        return found == candidates.end() ? IpAddress{} : *found;
    };
    to_words(first(true), config.node4_be);
    to_words(first(false), config.node6_be);
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

void Applier::State::read_back_all(const Desired& desired, std::map<std::string, L4ListenerState>& states) const
{
    for (const auto& [name, group] : desired.groups) {
        L4ListenerState& listener = states[group.listener];
        const auto id = group_ids.find(name);
        if (!group.relayed.empty() || !listener.problem.empty() || id == group_ids.end())
            continue;
        listener.ids.push_back(id->second);
        const auto there = read_back(id->second, group);
        if (there && *there)
            listener.in_kernel = true;
        else
            listener.problem = there ? "the kernel tables do not hold it" : to_string(there.error());
    }
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
        if (auto written = state.write_group(name, group, desired); !written)
            listener.problem = to_string(written.error());
    }
    for (const ListenerKey& key : desired.proxied) {
        if (auto set = state.set_listener(key, {.id = kProxiedId, .served_by = SL_SERVED_BY_PROXY, .pad = {}}); !set)
            return std::unexpected(set.error());
    }
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
