// SPDX-License-Identifier: Apache-2.0
// What one plan leaves to the next: the routes, with what was found out about those that nothing has changed for.
#pragma once

#include <memory>
#include <vector>

#include "agent/plan/state.h"

namespace sluice::plan {

class RouteMemory {
public:
    // Every route, oldest first. Known ones are as the last call's user left them; of the others there is nothing but
    // the object. `objects` and `facts` must be those of the plan that this is for; copies are kept, and what is
    // returned points into them. Valid until the next call.
    [[nodiscard]] const std::vector<std::unique_ptr<RouteState>>& update(const model::Objects& objects,
                                                                         const NodeFacts& facts);

private:
    [[nodiscard]] bool knows_the_rest(const model::Objects& objects, const NodeFacts& facts) const;

    model::Objects objects_;  // they keep alive what the routes point into
    NodeFacts facts_;
    std::vector<std::unique_ptr<RouteState>> routes_;  // oldest first
};

}  // namespace sluice::plan
