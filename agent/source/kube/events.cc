// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/events.h"

#include <algorithm>
#include <map>

#include "agent/model/gateway.h"
#include "agent/source/kube/json_parts.h"

namespace sluice::source {
namespace {

using nlohmann::json;

constexpr std::size_t kMessageBytesMax = 1'000;  // the API allows 1,024
constexpr std::size_t kNameBytesMax = 200;       // of 253, with what the server adds

const json& list_at(const json& object, const char* key)
{
    static const json empty = json::array();
    const auto found = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && found != object.end() && found->is_array() ? *found : empty;
}

// Every condition that is ours, by where it stands and its type: "listener http: Programmed".
std::map<std::string, const json*> conditions_of(const json& status, const std::string& controller_name)
{
    std::map<std::string, const json*> all;
    const auto add = [&](const json& object, const std::string& where) {
        for (const json& condition : list_at(object, "conditions"))
            all.emplace(where + text_at(condition, "type"), &condition);
    };
    add(status, "");
    for (const json& listener : list_at(status, "listeners"))
        add(listener, "listener " + text_at(listener, "name") + ": ");
    const struct {
        const char* list;
        const char* reference;
    } kinds[] = {{"parents", "parentRef"}, {"ancestors", "ancestorRef"}};
    for (const auto& kind : kinds) {
        for (const json& entry : list_at(status, kind.list)) {
            if (text_at(entry, "controllerName") != controller_name)
                continue;
            const json& parent = entry.contains(kind.reference) ? entry.at(kind.reference) : entry;
            const std::string section = text_at(parent, "sectionName");
            add(entry, "Gateway " + text_at(parent, "namespace") + "/" + text_at(parent, "name") +
                           (section.empty() ? "" : " " + section) + ": ");
        }
    }
    return all;
}

bool is_bad(const json& condition)
{
    const std::string type = text_at(condition, "type");
    const bool is_true = text_at(condition, "status") == "True";
    return is_true == (type == "Conflicted" || type == "PartiallyInvalid");
}

}  // namespace

std::vector<json> condition_events(const json& before, const json& after, const model::ObjectKey& key,
                                   const Record& record, const std::string& controller_name, const std::string& now)
{
    std::vector<json> events;
    const auto old = conditions_of(before, controller_name);
    for (const auto& [where, condition] : conditions_of(after, controller_name)) {
        const auto was = old.find(where);
        const bool is_new = was == old.end() || text_at(*was->second, "status") == "Unknown";
        const bool is_news = is_new ? is_bad(*condition) || (key.kind == model::Gateway::kKind && where == "Programmed")
                                    : text_at(*was->second, "status") != text_at(*condition, "status");
        if (!is_news || events.size() == kEventsPerWriteMax)
            continue;
        const std::string why = text_at(*condition, "message");
        std::string message = where + " is " + text_at(*condition, "status") + (why.empty() ? "" : ": " + why);
        message.resize(std::min(message.size(), kMessageBytesMax));
        events.push_back({{"apiVersion", "v1"},
                          {"kind", "Event"},
                          {"metadata",
                           {{"generateName", key.name.substr(0, kNameBytesMax) + "."},
                            {"namespace", key.ns.empty() ? "default" : key.ns}}},
                          {"involvedObject",
                           {{"apiVersion", record.api_version},
                            {"kind", key.kind},
                            {"namespace", key.ns},
                            {"name", key.name},
                            {"uid", record.uid}}},
                          {"type", is_bad(*condition) ? "Warning" : "Normal"},
                          {"reason", text_at(*condition, "reason")},
                          {"message", std::move(message)},
                          {"source", {{"component", "sluice"}}},
                          {"firstTimestamp", now},
                          {"lastTimestamp", now},
                          {"count", 1}});
    }
    return events;
}

}  // namespace sluice::source
