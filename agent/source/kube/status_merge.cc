// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/status_merge.h"

#include <algorithm>
#include <array>

#include "agent/model/gateway.h"
#include "agent/model/policy.h"
#include "agent/source/kube/features.h"

namespace sluice::source {
namespace {

using nlohmann::json;

// Bounds of the API's schema.
constexpr std::size_t kMessageBytesMax = 32'768;
constexpr std::size_t kParentsMax = 32;
constexpr std::size_t kAncestorsMax = 16;

const json& list_of(const json& object, const char* key)
{
    static const json empty = json::array();
    const auto found = object.find(key);
    return found != object.end() && found->is_array() ? *found : empty;
}

bool has_text(const json& object, const char* key, const std::string& text)
{
    const auto found = object.find(key);
    return found != object.end() && found->is_string() && found->get_ref<const std::string&>() == text;
}

std::string shortened(const std::string& message)
{
    std::size_t size = std::min(message.size(), kMessageBytesMax);
    while (size < message.size() && size > 0 && (static_cast<unsigned char>(message[size]) & 0xc0U) == 0x80U)
        --size;
    return message.substr(0, size);
}

json merged_condition(const json* old, const model::Condition& wanted, const std::string& now)
{
    const char* status = wanted.status ? "True" : "False";
    const bool stays = old != nullptr && has_text(*old, "status", status) && old->contains("lastTransitionTime");
    return {{"type", wanted.type},
            {"status", status},
            {"reason", wanted.reason},
            {"message", shortened(wanted.message)},
            {"observedGeneration", wanted.observed_generation},
            {"lastTransitionTime", stays ? old->at("lastTransitionTime") : json(now)}};
}

// Ours, of which the absence says something too.
constexpr std::string_view kPassing[] = {"PartiallyInvalid", "InsecureFrontendValidationMode"};

// In the places that they have; new ones behind.
json merged_conditions(const json& old, const std::vector<model::Condition>& wanted, const std::string& now)
{
    json result = json::array();
    for (const json& each : old) {
        const auto ours = std::ranges::find_if(
            wanted, [&](const model::Condition& condition) { return has_text(each, "type", condition.type); });
        if (ours != wanted.end())
            result.push_back(merged_condition(&each, *ours, now));
        else if (std::ranges::none_of(kPassing,
                                      [&](std::string_view type) { return has_text(each, "type", std::string(type)); }))
            result.push_back(each);
    }
    for (const model::Condition& condition : wanted) {
        if (std::ranges::none_of(old, [&](const json& each) { return has_text(each, "type", condition.type); }))
            result.push_back(merged_condition(nullptr, condition, now));
    }
    return result;
}

json reference(const model::ParentReference& parent)
{
    json result{{"group", parent.group}, {"kind", parent.kind}, {"name", parent.name}};
    if (parent.ns)
        result["namespace"] = *parent.ns;
    if (parent.section_name)
        result["sectionName"] = *parent.section_name;
    if (parent.port)
        result["port"] = *parent.port;
    return result;
}

// The entries of a route's parents or a policy's ancestors.
template <class Entry>
json merged_entries(const json& old, const std::vector<Entry>& wanted, model::ParentReference Entry::* named,
                    const char* key, std::size_t count_max, const std::string& controller_name, const std::string& now)
{
    json result = json::array();
    std::vector<bool> is_there(wanted.size());
    for (const json& each : old) {
        if (!has_text(each, "controllerName", controller_name)) {
            result.push_back(each);
            continue;
        }
        const auto ours = std::ranges::find_if(
            wanted, [&](const Entry& entry) { return each.contains(key) && each.at(key) == reference(entry.*named); });
        if (ours == wanted.end() || is_there[static_cast<std::size_t>(ours - wanted.begin())])
            continue;
        is_there[static_cast<std::size_t>(ours - wanted.begin())] = true;
        json entry = each;
        entry["conditions"] = merged_conditions(list_of(each, "conditions"), ours->conditions, now);
        result.push_back(std::move(entry));
    }
    for (std::size_t i = 0; i < wanted.size() && result.size() < count_max; ++i) {
        if (!is_there[i])
            result.push_back({{key, reference(wanted[i].*named)},
                              {"controllerName", controller_name},
                              {"conditions", merged_conditions(json::array(), wanted[i].conditions, now)}});
    }
    return result;
}

json merged_listener(const json& old, const model::ListenerStatus& wanted, const std::string& now)
{
    json kinds = json::array();
    for (const model::RouteGroupKind& kind : wanted.supported_kinds)
        kinds.push_back({{"group", kind.group}, {"kind", kind.kind}});
    return {{"name", wanted.name},
            {"supportedKinds", std::move(kinds)},
            {"attachedRoutes", wanted.attached_routes},
            {"conditions", merged_conditions(list_of(old, "conditions"), wanted.conditions, now)}};
}

void merge_gateway(json& status, const model::ObjectStatus& wanted, const std::string& now)
{
    json addresses = json::array();
    for (const model::GatewayAddress& address : wanted.addresses)
        addresses.push_back({{"type", address.type}, {"value", address.value}});
    if (addresses.empty())
        status.erase("addresses");
    else
        status["addresses"] = std::move(addresses);
    json listeners = json::array();
    for (const model::ListenerStatus& listener : wanted.listeners) {
        const json& all = list_of(status, "listeners");
        const auto old =
            std::ranges::find_if(all, [&](const json& each) { return has_text(each, "name", listener.name); });
        listeners.push_back(merged_listener(old == all.end() ? json::object() : *old, listener, now));
    }
    status["listeners"] = std::move(listeners);
}

void merge_features(json& status)
{
    json features = json::array();
    for (const std::string_view feature : kSupportedFeatures)
        features.push_back({{"name", feature}});
    status["supportedFeatures"] = std::move(features);
}

}  // namespace

std::optional<json> merged_status(const json& current, const model::ObjectStatus& wanted,
                                  const std::string& controller_name, const std::string& now)
{
    json status = current;
    const std::string& kind = wanted.key.kind;
    if (kind == model::BackendTlsPolicy::kKind) {
        status["ancestors"] =
            merged_entries(list_of(current, "ancestors"), wanted.ancestors, &model::PolicyAncestorStatus::ancestor,
                           "ancestorRef", kAncestorsMax, controller_name, now);
        if (!current.contains("ancestors") && status["ancestors"].empty())
            return std::nullopt;  // of no Gateway of ours
    } else if (kind.ends_with("Route")) {
        status["parents"] =
            merged_entries(list_of(current, "parents"), wanted.parents, &model::RouteParentStatus::parent, "parentRef",
                           kParentsMax, controller_name, now);
        if (!current.contains("parents") && status["parents"].empty())
            return std::nullopt;  // another controller's route
    } else {
        status["conditions"] = merged_conditions(list_of(current, "conditions"), wanted.conditions, now);
        if (kind == model::Gateway::kKind)
            merge_gateway(status, wanted, now);
        else
            merge_features(status);
    }
    return status == current ? std::nullopt : std::optional(std::move(status));
}

}  // namespace sluice::source
