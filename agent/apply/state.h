// SPDX-License-Identifier: Apache-2.0
// The applier's memory of the tables and the steps of an apply, by file: write.cc, release.cc, read_back.cc; their
// order is in apply.cc. Used by the control thread alone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/apply/apply.h"
#include "agent/apply/desired.h"
#include "agent/apply/host_ports.h"

namespace sluice::apply {

constexpr std::uint32_t kProxiedId = 0;  // all listeners that the kernel only passes on

// A ring that the tables do not hold yet.
struct PendingRing {
    std::string group;
    std::uint32_t id = 0;
    std::vector<std::uint32_t> slots;
};

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
    // Backends that a listener's ring lost since the last apply that succeeded: (listener id, backend id).
    std::set<std::pair<std::uint32_t, std::uint32_t>> lost;
    HostPorts host_ports;
    bool changed = false;  // something was written since the generation was
    // Where the walk over the reply tuples stands, and those that had no flow when it last came by.
    maps::Replies::Cursor lease_cursor;
    maps::Replies::Entries idle_leases;

    Result<void> adopt();
    Result<void> find_backends(Desired& desired, const plan::Plan& plan, const Facts& facts) const;
    std::vector<unsigned> backend_links(const Desired& desired) const;

    Result<void> write_config();
    std::map<std::string, Error> write_groups(const Desired& desired);   // those that failed, and why
    std::map<std::string, Error> write_proxied(const Desired& desired);  // the plan's listeners that failed, and why
    Result<void> write_generation();
    std::uint32_t held_id(const std::string& name, const Group& group);
    std::uint32_t id_of(const std::string& name, const Group& group);
    sl_listener listener_of(const std::string& name, const Group& group);
    std::uint32_t generation_of(const BackendKey& key, const sl_backend* known) const;
    Result<void> write_backend(const BackendKey& key, const Reach& reach);
    Result<void> write_backends(const Group& group, const Desired& desired);
    void add_pending(const std::string& name, const Group& group, std::vector<PendingRing>& pending) const;
    void write_rings(std::vector<PendingRing> pending, std::map<std::string, Error>& failed);
    Result<void> set_listeners(const std::vector<ListenerKey>& keys, const sl_listener& value);

    Result<void> remove_listeners(const std::set<ListenerKey>& wanted);
    Result<void> release_groups(const Desired& desired);
    void empty_relayed_rings();
    using IsObsolete = std::function<bool(const sl_flow_key&, const sl_flow&)>;
    Result<void> purge_flows(const IsObsolete& is_obsolete);
    Result<void> end_lost_udp();
    Result<void> drain_backends(const Desired& desired);
    std::set<std::uint32_t> in_rings() const;
    Result<bool> is_leased(const sl_reply_key& reply, const sl_flow_key& owner) const;
    Result<void> free_leases();

    void read_back_all(const Desired& desired, const std::map<std::string, Error>& failed,
                       std::map<std::string, L4ListenerState>& states) const;
    Result<bool> read_back(std::uint32_t id, const Group& group) const;
};

}  // namespace sluice::apply
