// SPDX-License-Identifier: Apache-2.0
#include "agent/control/control.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <mutex>

#include "agent/control/cluster.h"
#include "agent/control/kernel_path.h"
#include "agent/control/local_addresses.h"
#include "agent/control/serving.h"
#include "agent/plan/resting.h"
#include "agent/source/files.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace sluice::control {
namespace {

void add_backends(admin::ListenerReport& report, const std::vector<plan::Backend>& backends)
{
    for (const plan::Backend& backend : backends) {
        if (std::ranges::find(report.backends, backend) == report.backends.end())
            report.backends.push_back(backend);
    }
}

constexpr std::uint64_t kDebounceMs = 5;
constexpr std::uint64_t kRetryMs = 1'000;     // something could not be applied or bound
constexpr std::uint64_t kCollectMs = 10'000;  // draining backends

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

}  // namespace

struct Control::State {
    explicit State(const Options& wanted) : options(wanted) {}

    Options options;
    std::unique_ptr<source::FileSource> files;  // or
    std::unique_ptr<Cluster> cluster;
    source::Source* source = nullptr;  // of the one that is there
    std::unique_ptr<loader::Network> network;
    std::unique_ptr<proxy::Proxy> proxy;
    std::unique_ptr<KernelPath> kernel;  // none with --l4 proxy
    std::string l4_reason;
    std::unique_ptr<LocalAddresses> addresses;
    std::unique_ptr<loader::Announcer> announcer;  // in a cluster
    plan::RestingAddresses resting;
    Alarm reconcile_alarm;
    Alarm collect_alarm;
    Alarm extend_alarm;

    // Guards what follows and the kernel path's attachments: reports are made by the admin threads.
    mutable std::mutex mutex;
    plan::PlanPtr plan = std::make_shared<plan::Plan>();
    std::vector<model::ObjectStatus> statuses;
    std::vector<source::Problem> problems;
    std::vector<apply::L4ListenerState> l4;
    ServingProblems serving;
    std::uint64_t generation = 0;
    bool ready = false;

    std::unique_ptr<admin::Server> admin;  // last: its threads end before what they read

    Result<void> open();
    Result<void> open_source();
    Result<void> open_kernel();
    Result<void> reconcile();
    Result<apply::Facts> facts();
    plan::NodeFacts plan_facts(const apply::Facts& node);
    void tell_neighbours(const apply::Facts& node);
    void extend_addresses();
    Result<bool> apply_kernel(const plan::Plan& wanted, const apply::Facts& facts,
                              std::vector<apply::L4ListenerState>& states);
    void publish(plan::PlanPtr wanted, const std::vector<apply::L4ListenerState>& states, ServingProblems& found);
    void log_changes(const std::vector<model::ObjectStatus>& after, const std::vector<source::Problem>& now) const;
    void collect();
    void stop();
    admin::Report report() const;
    admin::ListenerReport report_l4(const plan::L4Listener& listener) const;
    admin::ListenerReport report_proxied(const std::string& name, const char* protocol,
                                         const std::vector<IpAddress>& addresses, std::uint16_t port) const;
    void add_http_reports(const plan::HttpPort& port, std::vector<admin::ListenerReport>& out) const;
    void add_tls_reports(const plan::TlsPort& port, std::vector<admin::ListenerReport>& out) const;
};

Result<void> Control::State::open_kernel()
{
    if (options.l4 == L4Mode::Proxy) {
        l4_reason = "--l4 proxy";
        return {};
    }
    if (options.l4 == L4Mode::Auto) {
        if (auto possible = loader::probe(); !possible) {
            l4_reason = to_string(possible.error());
            spdlog::warn("TCP and UDP are relayed by the proxy: {}", l4_reason);
            return {};
        }
    }
    auto opened = KernelPath::make(options, *network, proxy->steered_tcp_fd());
    if (!opened)
        return std::unexpected(opened.error());
    kernel = *std::move(opened);
    return {};
}

Result<void> Control::State::open_source()
{
    if (options.manifests.empty()) {
        auto joined = Cluster::make(options);
        if (!joined)
            return std::unexpected(joined.error());
        cluster = *std::move(joined);
        source = &cluster->source();
        auto opened = loader::Announcer::make();
        if (!opened)
            return std::unexpected(opened.error());
        announcer = *std::move(opened);
        return {};
    }
    auto opened = source::FileSource::make(options.manifests);
    if (!opened)
        return std::unexpected(opened.error());
    files = *std::move(opened);
    source = files.get();
    return {};
}

Result<void> Control::State::open()
{
    if (auto opened = open_source(); !opened)
        return opened;
    auto opened_network = loader::Network::make();
    if (!opened_network)
        return std::unexpected(opened_network.error());
    network = *std::move(opened_network);
    auto opened_proxy = proxy::Proxy::make(options.proxy);
    if (!opened_proxy)
        return std::unexpected(opened_proxy.error());
    proxy = *std::move(opened_proxy);
    if (auto opened = open_kernel(); !opened)
        return opened;
    addresses = std::make_unique<LocalAddresses>(*network, kernel != nullptr && kernel->adopted());
    auto server = admin::Server::make(options.admin, [this] { return report(); });
    if (!server)
        return std::unexpected(server.error());
    admin = *std::move(server);
    return {};
}

Result<apply::Facts> Control::State::facts()
{
    apply::Facts result;
    const auto links = network->links();
    if (!links)
        return std::unexpected(links.error());
    for (const loader::Link& link : *links) {
        if (!link.loopback && link.up)
            result.node_addresses.insert(result.node_addresses.end(), link.addresses.begin(), link.addresses.end());
    }
    std::ranges::sort(result.node_addresses);
    auto uplinks = find_uplinks(options.uplinks, *network);
    if (!uplinks)
        return std::unexpected(uplinks.error());
    result.uplinks = *std::move(uplinks);
    return result;
}

// True when everything is in the tables. A failure leaves what served before in place, and is tried again.
Result<bool> Control::State::apply_kernel(const plan::Plan& wanted, const apply::Facts& node,
                                          std::vector<apply::L4ListenerState>& states)
{
    if (!kernel)
        return true;
    auto outcome = kernel->apply(wanted, node);
    if (!outcome) {
        spdlog::error("the kernel tables could not be brought up to date: {}", to_string(outcome.error()));
        for (const plan::L4Listener& listener : wanted.l4)
            states.push_back({listener.name, {}, false, "", to_string(outcome.error())});
        return false;
    }
    states = std::move(outcome->l4);
    return true;
}

void Control::State::publish(plan::PlanPtr wanted, const std::vector<apply::L4ListenerState>& states,
                             ServingProblems& found)
{
    const auto ingress = kernel ? proxy::Ingress::Steered : proxy::Ingress::Bound;
    for (const proxy::ListenProblem& problem : proxy->publish(std::move(wanted), ingress))
        found.listeners[problem.listener] = problem.message;
    // What the kernel serves needs the proxy only for the node's own connections.
    for (const apply::L4ListenerState& state : states) {
        if (!state.in_kernel)
            continue;
        if (const auto problem = found.listeners.find(state.listener); problem != found.listeners.end()) {
            spdlog::warn("{}: clients on this node itself are not served: {}", state.listener, problem->second);
            found.listeners.erase(problem);
        }
    }
}

void Control::State::log_changes(const std::vector<model::ObjectStatus>& after,
                                 const std::vector<source::Problem>& now) const
{
    for (const std::string& change : condition_changes(statuses, after))
        spdlog::info("{}", change);
    for (const source::Problem& problem : now) {
        if (std::ranges::find(problems, problem) != problems.end())
            continue;
        if (problem.fatal)
            spdlog::error("{}", source::to_string(problem));
        else
            spdlog::warn("{}", source::to_string(problem));
    }
}

Result<void> Control::State::reconcile()
{
    if (!source->is_complete())
        return {};
    auto snapshot = source->load();
    const auto node = facts();
    if (!node)
        return std::unexpected(node.error());
    auto wanted = std::make_shared<const plan::Plan>(plan::make_plan(snapshot.objects, plan_facts(*node)));

    const std::lock_guard lock(mutex);
    ServingProblems found;
    std::vector<IpAddress> missing = wanted->addresses;
    std::erase_if(missing, [&](const IpAddress& a) { return std::ranges::binary_search(node->node_addresses, a); });
    found.addresses = addresses->add(missing, owned_addresses(*wanted));
    std::vector<apply::L4ListenerState> states;
    const auto applied = apply_kernel(*wanted, *node, states);
    publish(wanted, states, found);
    add_kernel_problems(states, found);
    addresses->remove_unwanted(missing);

    auto corrected = wanted->statuses;
    correct_statuses(corrected, found);
    log_changes(corrected, snapshot.problems);
    if (!ready || wanted->addresses != plan->addresses || wanted->l4 != plan->l4 || wanted->http != plan->http ||
        wanted->tls != plan->tls)
        ++generation;
    plan = std::move(wanted);
    statuses = std::move(corrected);
    problems = std::move(snapshot.problems);
    l4 = std::move(states);
    if (!applied || !*applied || !found.listeners.empty() || !found.addresses.empty())
        reconcile_alarm.within(kRetryMs);
    serving = std::move(found);
    if (cluster) {
        tell_neighbours(*node);
        cluster->publish(statuses);
    }
    if (!ready) {
        ready = true;
        spdlog::info("ready: {} L4 listeners by {}, {} HTTP ports, proxy on {}", plan->l4.size(),
                     kernel ? (kernel->has_xdp() ? "xdp" : "tcx") : "proxy", plan->http.size(),
                     proxy->io() == proxy::IoKind::IoUring ? "io_uring" : "epoll");
    }
    return {};
}

plan::NodeFacts Control::State::plan_facts(const apply::Facts& node)
{
    plan::NodeFacts result{
        .name = options.node, .controller_name = options.controller_name, .addresses = node.node_addresses};
    if (!cluster)
        return result;
    result.cluster = true;
    result.is_leader = cluster->is_leading();
    result.members = cluster->members();
    result.assigned = plan->pool_addresses;
    result.resting = resting.at(monotonic_ms());
    return result;
}

// Of the addresses that came with the plan that is in place now.
void Control::State::tell_neighbours(const apply::Facts& node)
{
    const std::uint64_t now = monotonic_ms();
    resting.observe(*plan, now);
    if (const auto free_at = resting.next_end_ms())
        reconcile_alarm.within(*free_at > now ? *free_at - now : 1);
    if (const auto links = network->links())
        announce(*announcer, addresses->take_added(), *plan, *links, node.uplinks);
    if (addresses->has_owned())
        extend_alarm.within(kExtendEveryMs);
}

void Control::State::extend_addresses()
{
    addresses->extend_owned();
    if (addresses->has_owned())
        extend_alarm.within(kExtendEveryMs);
}

void Control::State::collect()
{
    collect_alarm.within(kCollectMs);
    if (!kernel)
        return;
    const std::lock_guard lock(mutex);
    if (auto draining = kernel->collect_garbage(); !draining)
        spdlog::warn("{}", to_string(draining.error()));
}

void Control::State::stop()
{
    spdlog::info("stopping: open connections have {} ms to end", options.drain_ms);
    if (const auto cut = proxy->drain(options.drain_ms); cut != 0)
        spdlog::warn("{} connections were cut at the end of the drain time", cut);
    admin.reset();
    if (options.keep_pinned) {
        spdlog::info("the kernel goes on forwarding: programs, maps and addresses are kept (--keep-pinned)");
        return;
    }
    if (kernel) {
        if (auto removed = kernel->remove(); !removed)
            spdlog::error("{}", to_string(removed.error()));
    }
    addresses->remove_all();
}

admin::ListenerReport Control::State::report_l4(const plan::L4Listener& listener) const
{
    admin::ListenerReport out;
    out.name = listener.name;
    for (const IpAddress& address : listener.addresses)
        out.addresses.push_back(address.to_string());
    out.port = listener.port;
    out.protocol = listener.protocol == plan::Protocol::Tcp ? "TCP" : "UDP";
    out.backends = listener.backends;
    out.path = "proxy";
    if (const auto problem = serving.listeners.find(listener.name); problem != serving.listeners.end())
        out.problem = problem->second;
    const auto state = std::ranges::find(l4, listener.name, &apply::L4ListenerState::listener);
    if (state == l4.end())
        return out;
    if (out.problem.empty())
        out.problem = state->relayed;
    if (state->in_kernel) {
        out.path = kernel->has_xdp() ? "xdp" : "tcx";
        for (const std::uint32_t id : state->ids)
            kernel->read_counters(id, out);
    }
    return out;
}

admin::ListenerReport Control::State::report_proxied(const std::string& name, const char* protocol,
                                                     const std::vector<IpAddress>& on, std::uint16_t port) const
{
    admin::ListenerReport report;
    report.name = name;
    for (const IpAddress& address : on)
        report.addresses.push_back(address.to_string());
    report.port = port;
    report.protocol = protocol;
    report.path = "proxy";
    if (const auto problem = serving.listeners.find(name); problem != serving.listeners.end())
        report.problem = problem->second;
    return report;
}

void Control::State::add_http_reports(const plan::HttpPort& port, std::vector<admin::ListenerReport>& out) const
{
    for (const plan::HttpListener& listener : port.listeners) {
        auto report = report_proxied(listener.name, listener.tls ? "HTTPS" : "HTTP", port.addresses, port.port);
        for (const plan::HttpRule& rule : listener.rules)
            add_backends(report, rule.backends);
        out.push_back(std::move(report));
    }
}

// A TLS listener has one entry for each of its hosts in the plan, and one report.
void Control::State::add_tls_reports(const plan::TlsPort& port, std::vector<admin::ListenerReport>& out) const
{
    const std::size_t first = out.size();
    for (const plan::TlsHost& host : port.hosts) {
        auto report = std::find_if(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
                                   [&](const admin::ListenerReport& each) { return each.name == host.listener; });
        if (report == out.end())
            report = out.insert(out.end(), report_proxied(host.listener, "TLS", port.addresses, port.port));
        add_backends(*report, host.backends);
    }
}

admin::Report Control::State::report() const
{
    const std::lock_guard lock(mutex);
    admin::Report report;
    report.ready = ready;
    report.generation = generation;
    report.version = SLUICE_VERSION;
    report.io = proxy->io() == proxy::IoKind::IoUring ? "io_uring" : "epoll";
    report.l4 = kernel ? (kernel->has_xdp() ? "xdp" : "tcx") : "proxy";
    report.l4_reason = l4_reason;
    report.workers = proxy->workers();
    report.open_connections = proxy->open_connections();
    report.limit_hits = proxy->limit_hits();
    report.objects = statuses;
    report.problems = problems;
    if (kernel)
        report.attachments = kernel->attachments();
    for (const plan::L4Listener& listener : plan->l4)
        report.listeners.push_back(report_l4(listener));
    for (const plan::HttpPort& port : plan->http)
        add_http_reports(port, report.listeners);
    for (const plan::TlsPort& port : plan->tls)
        add_tls_reports(port, report.listeners);
    for (const proxy::ListenerStats& stats : proxy->stats()) {
        const auto listener = std::ranges::find(report.listeners, stats.listener, &admin::ListenerReport::name);
        if (listener == report.listeners.end())
            continue;
        auto& counters = listener->counters;
        counters["connections"] += stats.connections;
        counters["bytes_in"] += stats.bytes_in;
        counters["bytes_out"] += stats.bytes_out;
        counters["refused"] += stats.refused;
        if (!listener->protocol.starts_with("HTTP"))
            continue;
        counters["requests"] += stats.requests;
        counters["aborted"] += stats.responses[0];
        for (std::size_t hundreds = 1; hundreds < std::size(stats.responses); ++hundreds)
            counters["responses_" + std::to_string(hundreds) + "xx"] += stats.responses[hundreds];
    }
    return report;
}

Control::Control(std::unique_ptr<State> state) : state_(std::move(state)) {}

Control::~Control() = default;

Result<std::unique_ptr<Control>> Control::make(const Options& options)
{
    auto state = std::make_unique<State>(options);
    if (auto opened = state->open(); !opened)
        return std::unexpected(opened.error());
    return std::unique_ptr<Control>(new Control(std::move(state)));
}

Result<void> Control::run(int stop_fd)
{
    State& state = *state_;
    const UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
    std::vector<int> fds{stop_fd,
                         state.source->change_fd(),
                         state.network->change_fd(),
                         state.reconcile_alarm.fd(),
                         state.collect_alarm.fd(),
                         state.extend_alarm.fd()};
    if (state.cluster) {
        fds.push_back(state.cluster->change_fd());
        fds.push_back(state.announcer->due_fd());
    }
    for (const int fd : fds) {
        epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
        if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
            return fail(errno, "epoll_ctl", "control loop");
    }
    if (auto first = state.reconcile(); !first)
        return first;
    state.collect_alarm.within(kCollectMs);
    for (;;) {
        std::array<epoll_event, 8> events{};
        const int count = epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), -1);
        if (count < 0 && errno != EINTR)
            return fail(errno, "epoll_wait", "control loop");
        for (int i = 0; i < count; ++i) {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            if (fd == stop_fd) {
                state.stop();
                return {};
            }
            if (fd == state.source->change_fd() && state.source->drain_changes())
                state.reconcile_alarm.within(kDebounceMs);
            if (fd == state.network->change_fd() && state.network->drain_changes())
                state.reconcile_alarm.within(kDebounceMs);
            if (state.cluster && fd == state.cluster->change_fd() && state.cluster->drain_changes())
                state.reconcile_alarm.within(kDebounceMs);
            if (state.cluster && fd == state.announcer->due_fd()) {
                if (auto sent = state.announcer->send_due(); !sent)
                    spdlog::warn("{}", to_string(sent.error()));
            }
            if (fd == state.extend_alarm.fd()) {
                state.extend_alarm.drain();
                state.extend_addresses();
            }
            if (fd == state.collect_alarm.fd()) {
                state.collect_alarm.drain();
                state.collect();
            }
            if (fd != state.reconcile_alarm.fd())
                continue;
            state.reconcile_alarm.drain();
            if (auto done = state.reconcile(); !done) {
                spdlog::error("{}; trying again", to_string(done.error()));
                state.reconcile_alarm.within(kRetryMs);
            }
        }
    }
}

admin::Report Control::report() const { return state_->report(); }

}  // namespace sluice::control
