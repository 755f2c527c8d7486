// SPDX-License-Identifier: Apache-2.0
// Putting decoded objects into model::Objects and taking them out again, in place: its lists stay sorted.
#pragma once

#include "agent/source/decode.h"

namespace sluice::source {

// Replaces one of the same namespace and name. Cheap at the end of a list.
void put(model::Objects& objects, const AnyObject& object, std::int64_t generation);
void remove(model::Objects& objects, const model::ObjectKey& key);

}  // namespace sluice::source
