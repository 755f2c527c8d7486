// SPDX-License-Identifier: Apache-2.0
#include "agent/control/serving.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace sluice::control {
namespace {

using Conditions = std::vector<model::Condition>;

void set_not_programmed(Conditions& conditions, const char* reason, const std::string& message)
{
    const auto programmed = std::ranges::find(conditions, "Programmed", &model::Condition::type);
    if (programmed == conditions.end() || !programmed->status)
        return;
    programmed->status = false;
    programmed->reason = reason;
    programmed->message = message;
}

void correct_gateway(model::ObjectStatus& gateway, const ServingProblems& problems)
{
    std::size_t failed = 0;
    for (model::ListenerStatus& listener : gateway.listeners) {
        const auto problem = problems.listeners.find(gateway.key.ns + "/" + gateway.key.name + "/" + listener.name);
        if (problem == problems.listeners.end())
            continue;
        set_not_programmed(listener.conditions, "Pending", problem->second);
        ++failed;
    }
    if (failed != 0 && failed == gateway.listeners.size())
        set_not_programmed(gateway.conditions, "ListenersNotValid", "no listener of this Gateway serves");
    std::erase_if(gateway.addresses, [&](const model::GatewayAddress& address) {
        const auto parsed = IpAddress::parse(address.value);
        const auto problem = parsed ? problems.addresses.find(*parsed) : problems.addresses.end();
        if (problem == problems.addresses.end())
            return false;
        set_not_programmed(gateway.conditions, "AddressNotUsable", address.value + ": " + problem->second);
        return true;
    });
}

bool is_programmed(const model::ObjectStatus& gateway)
{
    const auto programmed = std::ranges::find(gateway.conditions, "Programmed", &model::Condition::type);
    return programmed != gateway.conditions.end() && programmed->status;
}

// The nodes whose word counts for a Gateway, each with the addresses that it must have.
using Owners = std::map<std::string, std::set<std::string>>;

// Of each Gateway with addresses of its own; the others are served by all members.
std::map<std::string, Owners> owners_of(const plan::Plan& plan, const std::vector<std::string>& members)
{
    std::map<std::string, Owners> owners;
    for (const plan::PoolAddress& one : plan.pool_addresses) {
        Owners& nodes = owners[one.gateway];
        if (one.announcement == model::Announcement::None)
            for (const std::string& node : members)
                nodes[node].insert(one.address.to_string());
        else if (!one.owner.empty())
            nodes[one.owner].insert(one.address.to_string());
    }
    return owners;
}

bool is_as_far(const model::ServedGateway& word, const model::ObjectStatus& status,
               const std::set<std::string>& addresses)
{
    return word.uid == status.uid && word.generation >= status.conditions.front().observed_generation &&
           std::ranges::includes(word.addresses, addresses);
}

const model::ServedGateway* find_served(const model::ServedByNode& served, const std::string& node,
                                        const std::string& gateway)
{
    const auto words = served.find(node);
    if (words == served.end())
        return nullptr;
    const auto found = std::ranges::lower_bound(words->second, gateway, {}, &model::ServedGateway::gateway);
    return found != words->second.end() && found->gateway == gateway ? &*found : nullptr;
}

// False when a node is not as far.
bool correct_by_nodes(model::ObjectStatus& status, const std::string& gateway, const Owners& owners,
                      const model::ServedByNode& served)
{
    ServingProblems problems;
    for (const auto& [node, addresses] : owners) {
        const model::ServedGateway* word = find_served(served, node, gateway);
        if (word == nullptr || !is_as_far(*word, status, addresses)) {
            const std::string message = fmt::format("node {} does not serve this generation yet", node);
            set_not_programmed(status.conditions, "Pending", message);
            for (model::ListenerStatus& listener : status.listeners)
                set_not_programmed(listener.conditions, "Pending", message);
            return false;
        }
        for (const auto& [listener, why] : word->failed_listeners)
            problems.listeners[gateway + "/" + listener] = fmt::format("on node {}: {}", node, why);
        for (const auto& [address, why] : word->failed_addresses) {
            if (const auto parsed = IpAddress::parse(address))
                problems.addresses[*parsed] = fmt::format("on node {}: {}", node, why);
        }
    }
    // The status is where a pool's addresses are on record: one that cannot be used is still the Gateway's.
    std::vector<model::GatewayAddress> on_record;
    if (std::ranges::any_of(owners, [](const auto& one) { return !one.second.empty(); }))
        on_record = status.addresses;
    correct_gateway(status, problems);
    if (!on_record.empty())
        status.addresses = std::move(on_record);
    return true;
}

// A listener and where it is to be found.
using Place = std::tuple<std::string, std::uint16_t, std::vector<IpAddress>>;

std::set<Place> proxied_listeners(const plan::Plan& plan)
{
    std::set<Place> places;
    for (const plan::HttpPort& port : plan.http)
        for (const plan::HttpListener& listener : port.listeners)
            places.emplace(listener.name, port.port, port.addresses);
    for (const plan::TlsPort& port : plan.tls)
        for (const plan::TlsHost& host : port.hosts)
            places.emplace(host.listener, port.port, port.addresses);
    return places;
}

using Flat = std::map<std::string, const model::Condition*>;

void flatten(const std::string& subject, const Conditions& conditions, Flat& out)
{
    for (const model::Condition& condition : conditions)
        out.emplace(subject + ": " + condition.type, &condition);
}

void flatten(const model::ObjectStatus& status, Flat& out)
{
    const std::string subject = status.key.to_string();
    flatten(subject, status.conditions, out);
    for (const model::ListenerStatus& listener : status.listeners)
        flatten(subject + " listener " + listener.name, listener.conditions, out);
    for (const model::RouteParentStatus& parent : status.parents)
        flatten(fmt::format("{} parent {}/{} {}", subject, parent.parent.ns.value_or(""), parent.parent.name,
                            parent.parent.section_name.value_or("")),
                parent.conditions, out);
    for (const model::PolicyAncestorStatus& ancestor : status.ancestors)
        flatten(fmt::format("{} ancestor {}/{}", subject, ancestor.ancestor.ns.value_or(""), ancestor.ancestor.name),
                ancestor.conditions, out);
}

}  // namespace

void add_kernel_problems(const std::vector<apply::L4ListenerState>& states, ServingProblems& problems)
{
    for (const apply::L4ListenerState& state : states) {
        if (!state.problem.empty())
            problems.listeners[state.listener] = state.problem;
    }
}

void add_new_proxied(const plan::Plan& plan, const plan::Plan& previous, const ServingProblems& before,
                     const std::string& why, ServingProblems& problems)
{
    const auto served = proxied_listeners(previous);
    for (const Place& place : proxied_listeners(plan)) {
        const std::string& listener = std::get<std::string>(place);
        if (!served.contains(place) || before.listeners.contains(listener))
            problems.listeners.emplace(listener, why);
    }
}

void correct_statuses(model::Statuses& statuses, const ServingProblems& problems)
{
    for (Shared<model::ObjectStatus>& status : statuses) {
        if (status->key.kind != model::Gateway::kKind)
            continue;
        model::ObjectStatus corrected = *status;
        correct_gateway(corrected, problems);
        status = std::move(corrected);
    }
}

model::ServedGateways served_gateways(const plan::Plan& plan, const ServingProblems& problems)
{
    model::ServedGateways served;
    for (const Shared<model::ObjectStatus>& shared : plan.statuses) {
        const model::ObjectStatus& status = *shared;
        if (status.key.kind != model::Gateway::kKind || !is_programmed(status))
            continue;
        model::ServedGateway one{.gateway = status.key.ns + "/" + status.key.name,
                                 .uid = status.uid,
                                 .generation = status.conditions.front().observed_generation,
                                 .addresses = {},
                                 .failed_listeners = {},
                                 .failed_addresses = {}};
        for (const model::ListenerStatus& listener : status.listeners) {
            if (const auto problem = problems.listeners.find(one.gateway + "/" + listener.name);
                problem != problems.listeners.end())
                one.failed_listeners.emplace(listener.name, problem->second);
        }
        for (const model::GatewayAddress& address : status.addresses) {
            const auto parsed = IpAddress::parse(address.value);
            if (const auto problem = parsed ? problems.addresses.find(*parsed) : problems.addresses.end();
                problem != problems.addresses.end())
                one.failed_addresses.emplace(address.value, problem->second);
        }
        served.push_back(std::move(one));
    }
    std::ranges::sort(served, {}, &model::ServedGateway::gateway);
    for (const plan::PoolAddress& one : plan.pool_addresses) {
        const auto found = std::ranges::lower_bound(served, one.gateway, {}, &model::ServedGateway::gateway);
        if (found != served.end() && found->gateway == one.gateway &&
            std::ranges::binary_search(plan.addresses, one.address))
            found->addresses.insert(one.address.to_string());
    }
    return served;
}

ClusterStatuses cluster_statuses(const plan::Plan& plan, const std::vector<std::string>& members,
                                 const model::ServedByNode& served)
{
    ClusterStatuses result{.statuses = plan.statuses, .pending = {}};
    const auto owners = owners_of(plan, members);
    Owners all;
    for (const std::string& node : members)
        all[node];
    for (Shared<model::ObjectStatus>& status : result.statuses) {
        if (status->key.kind != model::Gateway::kKind || !is_programmed(*status))
            continue;
        const std::string gateway = status->key.ns + "/" + status->key.name;
        const auto own = owners.find(gateway);
        model::ObjectStatus corrected = *status;
        if (!correct_by_nodes(corrected, gateway, own == owners.end() ? all : own->second, served))
            result.pending.insert(gateway);
        status = std::move(corrected);
    }
    for (const model::ObjectKey& key : plan.others)
        result.statuses.push_back(model::ObjectStatus{.key = key});
    if (!plan.others.empty())
        std::ranges::sort(result.statuses, {}, model::key_of);
    return result;
}

std::vector<std::string> condition_changes(const model::Statuses& before, const model::Statuses& after)
{
    const auto text = [](bool status) { return status ? "True" : "False"; };
    Flat old;
    Flat now;
    model::for_each_change(before, after, [&](const model::ObjectStatus* was, const model::ObjectStatus& is) {
        flatten(is, now);
        if (was != nullptr)
            flatten(*was, old);
    });
    std::vector<std::string> changes;
    for (const auto& [subject, condition] : now) {
        const auto was = old.find(subject);
        if (was != old.end() && was->second->status == condition->status && was->second->reason == condition->reason)
            continue;
        changes.push_back(fmt::format("{} {} -> {} ({}){}{}", subject,
                                      was == old.end() ? "unset" : text(was->second->status), text(condition->status),
                                      condition->reason, condition->message.empty() ? "" : ": ", condition->message));
    }
    return changes;
}

}  // namespace sluice::control
