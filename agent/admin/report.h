// SPDX-License-Identifier: Apache-2.0
// What the agent tells about itself: one value, filled by the control thread at request time, and its JSON, text and
// Prometheus forms. The JSON is the contract of `sluice status -o json`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/model/status.h"
#include "agent/plan/plan.h"
#include "agent/source/files.h"

namespace sluice::admin {

struct Attachment {
    std::string hook;       // "xdp", "tcx", "sk_lookup"
    std::string interface;  // "" for sk_lookup
    std::string program;
};

struct ListenerReport {
    std::string name;  // "namespace/gateway/listener"
    std::vector<std::string> addresses;
    std::uint16_t port = 0;
    std::string protocol;  // HTTP, TCP, UDP
    std::string path;      // who forwards: "xdp", "tcx" or "proxy"
    std::string problem;   // why it does not serve, or not as wished; empty when all is well
    std::vector<plan::Backend> backends;
    std::map<std::string, std::uint64_t> counters;  // packets_in, bytes_in, …, connections, requests, responses_2xx, …
    std::map<std::string, std::uint64_t> reasons;   // why packets left the fast path; zeros are left out
};

struct Report {
    bool ready = false;            // the first plan is applied and published
    std::uint64_t generation = 0;  // of the plan that serves
    std::string version;
    std::string io;         // "io_uring" or "epoll"
    std::string l4;         // "xdp", "tcx" or "proxy"
    std::string l4_reason;  // why not the better one
    unsigned workers = 0;
    std::uint64_t open_connections = 0;
    std::map<std::string, std::uint64_t> limit_hits;  // how often a peer was stopped at each limit
    std::vector<ListenerReport> listeners;
    model::Statuses objects;
    std::vector<source::Problem> problems;
    std::vector<Attachment> attachments;
};

[[nodiscard]] std::string to_json(const Report& report);
[[nodiscard]] std::string to_metrics(const Report& report);  // Prometheus text exposition format 0.0.4

// Renders what `to_json` wrote for a person. An error when it is not such a text.
[[nodiscard]] Result<std::string> to_text(const std::string& json);

}  // namespace sluice::admin
