// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/served_text.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "agent/source/kube/json_parts.h"

namespace sluice::source {
namespace {

using nlohmann::json;

constexpr std::size_t kWhyBytesMax = 200;

json failures(const std::map<std::string, std::string>& failed, std::size_t why_bytes_max)
{
    json result = json::object();
    for (const auto& [what, why] : failed)
        result[what] = why.substr(0, why_bytes_max);
    return result;
}

std::string to_text(const model::ServedGateways& served, std::size_t why_bytes_max)
{
    json result = json::object();
    for (const model::ServedGateway& one : served) {
        json& entry = result[one.gateway] = {{"generation", one.generation}, {"uid", one.uid}};
        if (!one.addresses.empty())
            entry["has"] = one.addresses;
        if (!one.failed_listeners.empty())
            entry["listeners"] = failures(one.failed_listeners, why_bytes_max);
        if (!one.failed_addresses.empty())
            entry["addresses"] = failures(one.failed_addresses, why_bytes_max);
    }
    return result.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::map<std::string, std::string> parse_failures(const json& object)
{
    std::map<std::string, std::string> failed;
    if (object.is_object()) {
        for (const auto& [what, why] : object.items())
            failed.emplace(what, why.is_string() ? why.get<std::string>() : "");
    }
    return failed;
}

std::set<std::string> parse_texts(const json& list)
{
    std::set<std::string> texts;
    if (list.is_array()) {
        for (const json& each : list)
            if (each.is_string())
                texts.insert(each.get<std::string>());
    }
    return texts;
}

}  // namespace

std::string served_text(const model::ServedGateways& served)
{
    for (const std::size_t why_bytes_max : {kWhyBytesMax, std::size_t{0}}) {
        std::string text = to_text(served, why_bytes_max);
        if (text.size() <= kServedBytesMax)
            return text;
    }
    return "";
}

model::ServedGateways parse_served(const std::string& text)
{
    model::ServedGateways served;
    const json object = json::parse(text, nullptr, false);
    if (!object.is_object())
        return served;
    for (const auto& [gateway, entry] : object.items()) {
        const json& generation = part(entry, "generation");
        if (generation.is_number_integer())
            served.push_back({.gateway = gateway,
                              .uid = text_at(entry, "uid"),
                              .generation = generation.get<std::int64_t>(),
                              .addresses = parse_texts(part(entry, "has")),
                              .failed_listeners = parse_failures(part(entry, "listeners")),
                              .failed_addresses = parse_failures(part(entry, "addresses"))});
    }
    return served;
}

}  // namespace sluice::source
