// SPDX-License-Identifier: Apache-2.0
#include "agent/control/serving.h"

#include <fmt/format.h>

#include <algorithm>

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

using Flat = std::map<std::string, const model::Condition*>;

void flatten(const std::string& subject, const Conditions& conditions, Flat& out)
{
    for (const model::Condition& condition : conditions)
        out.emplace(subject + ": " + condition.type, &condition);
}

Flat flatten(const std::vector<model::ObjectStatus>& statuses)
{
    Flat flat;
    for (const model::ObjectStatus& status : statuses) {
        const std::string subject = status.key.to_string();
        flatten(subject, status.conditions, flat);
        for (const model::ListenerStatus& listener : status.listeners)
            flatten(subject + " listener " + listener.name, listener.conditions, flat);
        for (const model::RouteParentStatus& parent : status.parents)
            flatten(fmt::format("{} parent {}/{} {}", subject, parent.parent.ns.value_or(""), parent.parent.name,
                                parent.parent.section_name.value_or("")),
                    parent.conditions, flat);
        for (const model::PolicyAncestorStatus& ancestor : status.ancestors)
            flatten(
                fmt::format("{} ancestor {}/{}", subject, ancestor.ancestor.ns.value_or(""), ancestor.ancestor.name),
                ancestor.conditions, flat);
    }
    return flat;
}

}  // namespace

void add_kernel_problems(const std::vector<apply::L4ListenerState>& states, ServingProblems& problems)
{
    for (const apply::L4ListenerState& state : states) {
        if (!state.problem.empty())
            problems.listeners[state.listener] = state.problem;
    }
}

void correct_statuses(std::vector<model::ObjectStatus>& statuses, const ServingProblems& problems)
{
    for (model::ObjectStatus& status : statuses) {
        if (status.key.kind == model::Gateway::kKind)
            correct_gateway(status, problems);
    }
}

std::vector<std::string> condition_changes(const std::vector<model::ObjectStatus>& before,
                                           const std::vector<model::ObjectStatus>& after)
{
    const auto text = [](bool status) { return status ? "True" : "False"; };
    const Flat old = flatten(before);
    std::vector<std::string> changes;
    for (const auto& [subject, condition] : flatten(after)) {
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
