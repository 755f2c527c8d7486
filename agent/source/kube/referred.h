// SPDX-License-Identifier: Apache-2.0
// Which Secrets and ConfigMaps an object refers to. Pure.
#pragma once

#include <set>

#include "agent/source/decode.h"

namespace sluice::source {

// Adds those that `object` names, whether a grant allows it or not: that is the plan's to say.
void add_referred(const AnyObject& object, std::set<model::ObjectKey>& keys);

}  // namespace sluice::source
