// SPDX-License-Identifier: Apache-2.0
// The applier's memory of the tables and the steps of an apply, by file: write.cc, release.cc, read_back.cc; their
// order is in apply.cc. Used by the control thread alone.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "agent/apply/apply.h"
#include "agent/apply/desired.h"

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
    bool changed = false;  // something was written since the generation was

    Result<void> adopt();
    Reach reach(const IpAddress& address, const std::vector<unsigned>& uplinks) const;

    Result<void> write_config(const Facts& facts);
    std::map<std::string, Error> write_groups(const Desired& desired);  // those that failed, and why
    Result<void> write_proxied(const std::vector<ListenerKey>& keys);
    Result<void> write_generation();
    std::uint32_t id_of(const std::string& name, const Group& group);
    Result<void> write_backend(const BackendKey& key, const Reach& reach);
    Result<void> write_backends(const Group& group, const Desired& desired);
    void add_pending(const std::string& name, const Group& group, std::vector<PendingRing>& pending) const;
    void write_rings(std::vector<PendingRing> pending, std::map<std::string, Error>& failed);
    Result<void> set_listeners(const std::vector<ListenerKey>& keys, const sl_listener& value);

    Result<void> remove_listeners(const std::set<ListenerKey>& wanted);
    Result<void> release_groups(const Desired& desired);
    Result<void> purge_flows(const std::set<std::uint32_t>& listener_ids);
    Result<void> drain_backends(const Desired& desired);
    std::set<std::uint32_t> in_rings() const;

    void read_back_all(const Desired& desired, std::map<std::string, L4ListenerState>& states) const;
    Result<bool> read_back(std::uint32_t id, const Group& group) const;
};

}  // namespace sluice::apply
