// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "agent/control/state.h"
#include "base/clock.h"
#include "base/log.h"

namespace sluice::control {
namespace {

// The other nodes learn of a pool's address by the Gateway's status alone.
bool has_unwritten_address(const plan::Plan& plan, const model::Objects& objects, const model::ObjectKey& key)
{
    const auto gateway = std::ranges::find_if(objects.gateways, [&](const model::Gateway& one) {
        return one.meta.ns == key.ns && one.meta.name == key.name;
    });
    return gateway != objects.gateways.end() &&
           std::ranges::any_of(plan.pool_addresses, [&](const plan::PoolAddress& one) {
               return one.gateway == key.ns + "/" + key.name &&
                      std::ranges::find(gateway->status_addresses, one.address) == gateway->status_addresses.end();
           });
}

}  // namespace

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
    result.host_addresses = result.node_addresses;
    for (const model::Node& node : snapshot.objects.nodes) {
        auto& known = node.meta.name == options.node ? result.host_addresses : result.other_nodes;
        known.insert(known.end(), node.addresses.begin(), node.addresses.end());
    }
    std::erase_if(result.other_nodes, [&](const IpAddress& address) {
        return std::ranges::find(result.host_addresses, address) != result.host_addresses.end();
    });
    auto uplinks = find_uplinks(options.uplinks, *network);
    if (!uplinks)
        return std::unexpected(uplinks.error());
    result.uplinks = *std::move(uplinks);
    return result;
}

// A failure leaves what served before in place, and is tried again.
apply::Outcome Control::State::apply_kernel(const plan::Plan& wanted, const apply::Facts& node, ServingProblems& found)
{
    if (!kernel)
        return {};
    auto outcome = kernel->apply(wanted, node);
    if (outcome) {
        found.listeners.merge(outcome->problems);
        taken_ports = outcome->taken;
        return *std::move(outcome);
    }
    const std::string why = to_string(outcome.error());
    spdlog::error("the kernel tables could not be brought up to date: {}", why);
    apply::Outcome failed;
    failed.taken = taken_ports;
    for (const plan::L4Listener& listener : wanted.l4)
        failed.l4.push_back({listener.name, {}, false, "", why});
    add_new_proxied(wanted, *plan, serving, why, found);
    return failed;
}

void Control::State::publish(plan::PlanPtr wanted, const apply::Outcome& outcome, ServingProblems& found)
{
    const auto ingress = kernel ? proxy::Ingress::Steered : proxy::Ingress::Bound;
    for (const proxy::ListenProblem& problem : proxy->publish(std::move(wanted), ingress, outcome.taken))
        found.listeners[problem.listener] = problem.message;
    // What the kernel serves needs the proxy only for the node's own connections.
    for (const apply::L4ListenerState& state : outcome.l4) {
        if (!state.in_kernel)
            continue;
        if (const auto problem = found.listeners.find(state.listener); problem != found.listeners.end()) {
            spdlog::warn("{}: clients on this node itself are not served: {}", state.listener, problem->second);
            found.listeners.erase(problem);
        }
    }
}

void Control::State::log_changes(const model::Statuses& after, const std::vector<source::Problem>& now) const
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
    const std::uint64_t begun = monotonic_ns();
    source->update(snapshot);
    const std::uint64_t loaded = monotonic_ns();
    const auto node = facts();
    if (!node)
        return std::unexpected(node.error());
    auto wanted = std::make_shared<const plan::Plan>(planner.plan(snapshot.objects, plan_facts(*node)));

    const std::uint64_t planned = monotonic_ns();

    const std::lock_guard lock(mutex);
    ServingProblems found;
    std::vector<IpAddress> missing = wanted->addresses;
    std::erase_if(missing, [&](const IpAddress& a) { return std::ranges::binary_search(node->node_addresses, a); });
    found.addresses = addresses->add(missing, owned_addresses(*wanted));
    apply::Outcome outcome = apply_kernel(*wanted, *node, found);
    publish(wanted, outcome, found);
    add_kernel_problems(outcome.l4, found);
    addresses->remove_unwanted(missing);
    const std::uint64_t served = monotonic_ns();

    auto corrected = wanted->statuses;
    correct_statuses(corrected, found);
    log_changes(corrected, snapshot.problems);
    if (!ready || wanted->addresses != plan->addresses || wanted->l4 != plan->l4 || wanted->http != plan->http ||
        wanted->tls != plan->tls)
        ++generation;
    plan = std::move(wanted);
    statuses = std::move(corrected);
    problems = snapshot.problems;
    l4 = std::move(outcome.l4);
    // What lasts, such as a port that another program has, is looked at less and less often.
    retry_ms = found.listeners.empty() && found.addresses.empty() ? 0 : std::clamp(2 * retry_ms, kRetryMs, kRetryMaxMs);
    if (retry_ms != 0)
        reconcile_alarm.within(retry_ms);
    serving = std::move(found);
    if (cluster) {
        tell_neighbours(*node);
        publish_statuses();
        cluster->join();
    }
    constexpr std::uint64_t kUs = 1'000;
    spdlog::debug("a change: {} us to load, {} to plan, {} to serve, {} for statuses", (loaded - begun) / kUs,
                  (planned - loaded) / kUs, (served - planned) / kUs, (monotonic_ns() - served) / kUs);
    if (!ready) {
        if (auto steered = steer(); !steered)
            return steered;
        ready = true;
        spdlog::info("ready: {} L4 listeners by {}, {} HTTP ports, proxy on {}", plan->l4.size(),
                     kernel ? (kernel->has_xdp() ? "xdp" : "tcx") : "proxy", plan->http.size(),
                     proxy->io() == proxy::IoKind::IoUring ? "io_uring" : "epoll");
    }
    return {};
}

// A Gateway's status is left as it is for a moment while a node's word is missing: most often the word comes, and one
// write says all.
void Control::State::publish_statuses()
{
    const auto view = cluster->view();
    model::ServedByNode served = view.served;
    cluster->say(served[options.node] = served_gateways(*plan, serving));
    cluster->publish(plan->infrastructure);
    if (!cluster->is_leading()) {
        // Who comes to lead is to listen before it writes.
        cluster->listen(source::Attention::None);
        cluster->publish(model::Statuses{});
        pending_since.clear();
        return;
    }
    auto wanted = cluster_statuses(*plan, view.nodes, served);
    const std::uint64_t now = monotonic_ms();
    std::erase_if(pending_since, [&](const auto& entry) { return !wanted.pending.contains(entry.first); });
    auto attention = source::Attention::Steady;
    for (const std::string& gateway : wanted.pending) {
        const std::uint64_t waited = now - pending_since.emplace(gateway, now).first->second;
        if (waited >= kPendingMs)
            continue;
        attention = source::Attention::Hurried;
        reconcile_alarm.within(kPendingMs - waited);
    }
    cluster->listen(attention);
    std::erase_if(wanted.statuses, [&](const Shared<model::ObjectStatus>& status) {
        if (status->key.kind != model::Gateway::kKind)
            return false;
        const std::string name = status->key.ns + "/" + status->key.name;
        if (!wanted.pending.contains(name) || has_unwritten_address(*plan, snapshot.objects, status->key))
            return false;
        return now - pending_since.at(name) < kPendingMs;
    });
    cluster->publish(std::move(wanted.statuses));
}

plan::NodeFacts Control::State::plan_facts(const apply::Facts& node)
{
    plan::NodeFacts result{
        .name = options.node, .controller_name = options.controller_name, .addresses = node.node_addresses};
    if (!cluster)
        return result;
    result.cluster = true;
    result.is_leader = cluster->is_leading();
    result.members = cluster->view().nodes;
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

}  // namespace sluice::control
