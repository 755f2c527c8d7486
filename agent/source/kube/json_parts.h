// SPDX-License-Identifier: Apache-2.0
// Parts of what the API server answers, which may be anything.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace sluice::source {

// Empty where there is no such text.
[[nodiscard]] inline std::string text_at(const nlohmann::json& object, const char* key)
{
    const auto found = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// An empty object where there is none.
[[nodiscard]] inline const nlohmann::json& part(const nlohmann::json& object, const char* key)
{
    static const nlohmann::json empty = nlohmann::json::object();
    const auto found = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && found != object.end() ? *found : empty;
}

}  // namespace sluice::source
