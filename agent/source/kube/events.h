// SPDX-License-Identifier: Apache-2.0
// What `kubectl describe` shows below an object: an Event for each condition that has turned.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agent/model/meta.h"
#include "agent/source/kube/kube_source.h"

namespace sluice::source {

constexpr std::size_t kEventsPerWriteMax = 8;

// Core v1 Events for what differs between two statuses of the object: a condition whose status has turned, or a new one
// that is bad news; of a Gateway also that it is programmed. Of routes and policies only our entries count.
// `now`: metav1.Time.
[[nodiscard]] std::vector<nlohmann::json> condition_events(const nlohmann::json& before, const nlohmann::json& after,
                                                           const model::ObjectKey& key, const Record& record,
                                                           const std::string& controller_name, const std::string& now);

}  // namespace sluice::source
