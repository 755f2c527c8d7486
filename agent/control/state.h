// SPDX-License-Identifier: Apache-2.0
// What the control thread works with. Its functions stand in control.cc (start, loop, stop), reconcile.cc (a change's
// way to the tables) and report.cc.
#pragma once

#include <sys/timerfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <optional>

#include "agent/control/cluster.h"
#include "agent/control/control.h"
#include "agent/control/handover.h"
#include "agent/control/kernel_path.h"
#include "agent/control/local_addresses.h"
#include "agent/control/serving.h"
#include "agent/plan/resting.h"
#include "agent/source/files.h"
#include "base/unique_fd.h"

namespace sluice::control {

constexpr std::uint64_t kDebounceMs = 5;
constexpr std::uint64_t kSoonMs = 1;          // behind a source that has waited for quiet itself
constexpr std::uint64_t kPendingMs = 2'000;   // how long a Gateway's status waits for the nodes' word
constexpr std::uint64_t kRetryMs = 1'000;     // something could not be applied or bound
constexpr std::uint64_t kRetryMaxMs = 8'000;  // and again and again
constexpr std::uint64_t kCollectMs = 10'000;  // draining backends, and what the proxy needs no more

// A one-shot alarm. The earlier of two wishes wins.
class Alarm {
public:
    Alarm() : fd_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {}
    [[nodiscard]] int fd() const { return fd_.get(); }
    void within(std::uint64_t ms) const
    {
        itimerspec current{};
        timerfd_gettime(fd_.get(), &current);
        const auto left_ms = static_cast<std::uint64_t>(current.it_value.tv_sec) * 1000 +
                             static_cast<std::uint64_t>(current.it_value.tv_nsec) / 1'000'000;
        const bool armed = current.it_value.tv_sec != 0 || current.it_value.tv_nsec != 0;
        if (armed && left_ms <= ms)
            return;
        itimerspec wish{};
        wish.it_value.tv_sec = static_cast<time_t>(ms / 1000);
        wish.it_value.tv_nsec = static_cast<long>(ms % 1000 * 1'000'000);
        timerfd_settime(fd_.get(), 0, &wish, nullptr);
    }
    void drain() const
    {
        std::uint64_t expirations = 0;
        [[maybe_unused]] const ssize_t count = ::read(fd_.get(), &expirations, sizeof expirations);
    }

private:
    UniqueFd fd_;
};

struct Control::State {
    explicit State(const Options& wanted) : options(wanted) {}

    Options options;
    std::unique_ptr<source::FileSource> files;  // or
    std::unique_ptr<Cluster> cluster;
    source::Snapshot snapshot;         // of the source
    source::Source* source = nullptr;  // of the one that is there
    plan::Planner planner;
    std::optional<Handover> handover;
    std::unique_ptr<loader::Network> network;
    std::unique_ptr<proxy::Proxy> proxy;
    std::unique_ptr<KernelPath> kernel;  // none with --l4 proxy, and while another agent has control
    std::string l4_reason;
    std::unique_ptr<LocalAddresses> addresses;     // while we have control
    std::unique_ptr<loader::Announcer> announcer;  // in a cluster
    plan::RestingAddresses resting;
    std::map<std::string, std::uint64_t> pending_since;  // Gateways that wait for a node's word
    UniqueFd pulse;                                      // readable when somebody asks whether we are alive
    std::atomic<bool> has_turned = true;                 // since the last time
    Alarm reconcile_alarm;
    Alarm collect_alarm;
    Alarm extend_alarm;

    // Guards what follows and the kernel path's attachments: reports are made by the admin threads.
    mutable std::mutex mutex;
    plan::PlanPtr plan = std::make_shared<plan::Plan>();
    model::Statuses statuses;
    std::vector<source::Problem> problems;
    std::vector<apply::L4ListenerState> l4;
    ServingProblems serving;
    std::uint64_t generation = 0;
    std::atomic<bool> ready = false;
    std::map<std::string, std::string> taken_ports;  // listeners whose port others of this node have, by the last apply
    std::uint64_t retry_ms = 0;                      // until the next try, 0 when all is served
    bool standing_by = false;                        // another agent has control

    std::unique_ptr<admin::Server> admin;  // last: its threads end before what they read

    Result<void> open();
    Result<void> open_source();
    Result<void> open_kernel();
    [[nodiscard]] bool is_complete() const { return cluster ? cluster->is_complete() : source->is_complete(); }
    bool turned();
    Result<void> take_control();
    Result<void> steer();
    void stand_by();
    Result<void> resume();
    Result<void> advance();
    Result<void> reconcile();
    Result<void> on_event(int fd);
    Result<apply::Facts> facts();
    void publish_statuses();
    plan::NodeFacts plan_facts(const apply::Facts& node);
    void tell_neighbours(const apply::Facts& node);
    void extend_addresses();
    apply::Outcome apply_kernel(const plan::Plan& wanted, const apply::Facts& facts, ServingProblems& found);
    void publish(plan::PlanPtr wanted, const apply::Outcome& outcome, ServingProblems& found);
    void log_changes(const model::Statuses& after, const std::vector<source::Problem>& now) const;
    void collect();
    Result<void> let_go();
    void stop();
    admin::Report report() const;
    admin::ListenerReport report_l4(const plan::L4Listener& listener) const;
    admin::ListenerReport report_proxied(const std::string& name, const char* protocol,
                                         const std::vector<IpAddress>& addresses, std::uint16_t port) const;
    void add_http_reports(const plan::HttpPort& port, std::vector<admin::ListenerReport>& out) const;
    void add_tls_reports(const plan::TlsPort& port, std::vector<admin::ListenerReport>& out) const;
};

}  // namespace sluice::control
