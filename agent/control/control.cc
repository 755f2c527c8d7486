// SPDX-License-Identifier: Apache-2.0
#include "agent/control/control.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <chrono>
#include <thread>

#include "agent/control/state.h"
#include "base/log.h"

namespace sluice::control {

Result<void> Control::State::open_kernel()
{
    const auto relay_all = [this](std::string why) {
        const std::lock_guard lock(mutex);
        l4_reason = std::move(why);
    };
    if (options.l4 == L4Mode::Proxy) {
        relay_all("--l4 proxy");
        return {};
    }
    if (options.l4 == L4Mode::Auto) {
        if (auto possible = loader::probe(); !possible) {
            spdlog::warn("TCP and UDP are relayed by the proxy: {}", to_string(possible.error()));
            relay_all(to_string(possible.error()));
            return {};
        }
    }
    auto opened = KernelPath::make(options, *network);
    if (!opened)
        return std::unexpected(opened.error());
    const std::lock_guard lock(mutex);
    kernel = *std::move(opened);
    l4_reason.clear();
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
    auto made = Handover::make(options.bpffs);
    if (!made)
        return std::unexpected(made.error());
    handover = *std::move(made);
    pulse.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!pulse.valid())
        return fail(errno, "eventfd", "control loop");
    auto server = admin::Server::make(options.admin, {.report = [this] { return report(); },
                                                      .is_ready = [this] { return ready.load(); },
                                                      .is_alive = [this] { return turned() && proxy->turned(); }});
    if (!server)
        return std::unexpected(server.error());
    admin = *std::move(server);
    return {};
}

bool Control::State::turned()
{
    if (!has_turned.exchange(false))
        return false;
    return eventfd_write(pulse.get(), 1) == 0;
}

Result<void> Control::State::take_control()
{
    if (auto taken = handover->take(); !taken)
        return taken;
    if (auto opened = open_kernel(); !opened)
        return opened;
    addresses = std::make_unique<LocalAddresses>(*network);
    return {};
}

Result<void> Control::State::steer() { return kernel ? kernel->steer(proxy->steered_tcp_fd()) : Result<void>(); }

// A successor asks for control: nothing of ours touches tables and addresses from here on. The proxy goes on by the
// plan that it has, and the kernel by what is in the tables.
void Control::State::stand_by()
{
    spdlog::info("another agent of this node takes control; this one serves the connections that it has");
    {
        const std::lock_guard lock(mutex);
        kernel.reset();
        l4.clear();
        l4_reason = "another agent has control of this node";
    }
    addresses.reset();
    standing_by = true;
    handover->give();
    if (cluster)
        cluster->stand_by();
}

// The successor has ended. New connections are ours at once, by the plan that served last.
Result<void> Control::State::resume()
{
    spdlog::warn("the agent that had control of this node has ended; this one takes control");
    standing_by = false;
    if (auto taken = take_control(); !taken)
        return taken;
    if (auto steered = steer(); !steered)
        return steered;
    return reconcile();
}

// Takes control when there is something to serve, and brings everything up to date. Errors end the agent: a first plan
// that fails, and control that cannot be had. Later ones are logged, and tried again.
Result<void> Control::State::advance()
{
    if (standing_by || !is_complete())
        return {};
    if (!handover->in_control()) {
        if (auto taken = take_control(); !taken)
            return taken;
    }
    auto done = reconcile();
    if (done || !ready)
        return done;
    spdlog::error("{}; trying again", to_string(done.error()));
    reconcile_alarm.within(kRetryMs);
    return {};
}

void Control::State::extend_addresses()
{
    if (!addresses)
        return;
    addresses->extend_owned();
    if (addresses->has_owned())
        extend_alarm.within(kExtendEveryMs);
}

void Control::State::collect()
{
    collect_alarm.within(kCollectMs);
    proxy->tend();
    if (!kernel)
        return;
    const std::lock_guard lock(mutex);
    if (auto draining = kernel->collect_garbage(); !draining)
        spdlog::warn("{}", to_string(draining.error()));
}

// The addresses that another node takes over leave this one, which serves until that has announced them; the others
// stay for the connections that drain.
Result<void> Control::State::let_go()
{
    constexpr unsigned kLeaveS = 5;               // an API server that does not answer
    constexpr std::chrono::seconds kTakeOver(2);  // the others look every second
    const auto node = facts();
    if (!node)
        return std::unexpected(node.error());
    plan::NodeFacts without_us = plan_facts(*node);
    std::erase(without_us.members, options.node);
    const plan::Plan after = plan::make_plan(snapshot.objects, without_us);
    std::vector<IpAddress> given_away;
    for (const plan::PoolAddress& one : after.pool_addresses)
        if (!one.owner.empty())
            given_away.push_back(one.address);
    addresses->extend_owned(options.drain_ms / 1'000 + kLeaveS + kOwnedLifetimeS);
    cluster->leave();
    if (addresses->has_owned() && !given_away.empty())
        std::this_thread::sleep_for(kTakeOver);
    addresses->remove(given_away);
    return {};
}

void Control::State::stop()
{
    if (cluster && handover->in_control()) {
        if (auto gone = let_go(); !gone)
            spdlog::warn("{}", to_string(gone.error()));
    }
    spdlog::info("stopping: open connections have {} ms to end", options.drain_ms);
    const auto arrivals = standing_by ? proxy::Arrivals::Served : proxy::Arrivals::Refused;
    if (const auto cut = proxy->drain(options.drain_ms, arrivals); cut != 0)
        spdlog::warn("{} connections were cut at the end of the drain time", cut);
    admin.reset();
    if (!handover->in_control())
        return;  // tables and addresses are another agent's
    if (options.keep_pinned) {
        spdlog::info("the kernel goes on forwarding: programs, maps and the addresses that are still ours are kept "
                     "(--keep-pinned)");
        return;
    }
    if (kernel) {
        if (auto removed = kernel->remove(); !removed)
            spdlog::error("{}", to_string(removed.error()));
    }
    addresses->remove_all();
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

Result<void> Control::State::on_event(int fd)
{
    if (fd == source->change_fd() && source->drain_changes())
        reconcile_alarm.within(cluster ? kSoonMs : kDebounceMs);
    const bool is_news = (fd == network->change_fd() && network->drain_changes()) ||
                         (cluster && fd == cluster->change_fd() && cluster->drain_changes());
    if (is_news)
        reconcile_alarm.within(kDebounceMs);
    if (fd == pulse.get()) {
        eventfd_t asked = 0;
        eventfd_read(pulse.get(), &asked);
        has_turned = true;
    }
    if (fd == handover->fd()) {
        const auto event = handover->poll();
        if (event == Handover::Event::Asked)
            stand_by();
        else if (event == Handover::Event::Alone)
            return resume();
        else if (event == Handover::Event::Succeeded)
            reconcile_alarm.within(kSoonMs);  // its ports are free now
    }
    if (cluster && fd == announcer->due_fd()) {
        if (auto sent = announcer->send_due(); !sent)
            spdlog::warn("{}", to_string(sent.error()));
    }
    if (fd == extend_alarm.fd()) {
        extend_alarm.drain();
        extend_addresses();
    }
    if (fd == collect_alarm.fd()) {
        collect_alarm.drain();
        collect();
    }
    if (fd == reconcile_alarm.fd()) {
        reconcile_alarm.drain();
        return advance();
    }
    return {};
}

Result<void> Control::run(int stop_fd)
{
    State& state = *state_;
    const UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
    std::vector<int> fds{
        stop_fd,           state.source->change_fd(),  state.network->change_fd(), state.handover->fd(),
        state.pulse.get(), state.reconcile_alarm.fd(), state.collect_alarm.fd(),   state.extend_alarm.fd()};
    if (state.cluster) {
        fds.push_back(state.cluster->change_fd());
        fds.push_back(state.announcer->due_fd());
    }
    for (const int fd : fds) {
        epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
        if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
            return fail(errno, "epoll_ctl", "control loop");
    }
    if (auto first = state.advance(); !first)
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
            if (auto done = state.on_event(fd); !done)
                return done;
        }
    }
}

admin::Report Control::report() const { return state_->report(); }

}  // namespace sluice::control
