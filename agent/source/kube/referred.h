// SPDX-License-Identifier: Apache-2.0
// Which Secrets and ConfigMaps an object refers to. Pure.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "agent/source/decode.h"

namespace sluice::source {

// Adds those that `object` names, whether a grant allows it or not: that is the plan's to say.
void add_referred(const AnyObject& object, std::set<model::ObjectKey>& keys);

// At most `most` of what the objects of each namespace refer to, the same number for each: whoever refers to many takes
// nothing from the others. Within a namespace what is held already goes first.
[[nodiscard]] std::set<model::ObjectKey>
choose_referred(const std::map<std::string, std::set<model::ObjectKey>>& by_namespace,
                const std::function<bool(const model::ObjectKey&)>& is_held, std::size_t most);

}  // namespace sluice::source
