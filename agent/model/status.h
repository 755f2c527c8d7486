// SPDX-License-Identifier: Apache-2.0
// Status as plan decides it: conditions with the API's own types and reasons.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/model/gateway.h"
#include "agent/model/meta.h"
#include "base/shared.h"

namespace sluice::model {

struct Condition {
    std::string
        type;  // Accepted, Programmed, ResolvedRefs, Conflicted, PartiallyInvalid, InsecureFrontendValidationMode
    bool status = false;
    std::string reason;   // the API's CamelCase reason
    std::string message;  // names the object and field at fault, and what is accepted
    std::int64_t observed_generation = 0;
    bool operator==(const Condition&) const = default;
};

struct ListenerStatus {
    std::string name;
    std::vector<RouteGroupKind> supported_kinds;
    std::uint32_t attached_routes = 0;
    std::vector<Condition> conditions;
    bool operator==(const ListenerStatus&) const = default;
};

struct RouteParentStatus {
    ParentReference parent;  // namespace always filled in
    std::vector<Condition> conditions;
    bool operator==(const RouteParentStatus&) const = default;
};

struct PolicyAncestorStatus {
    ParentReference ancestor;  // a Gateway, the namespace filled in
    std::vector<Condition> conditions;
    bool operator==(const PolicyAncestorStatus&) const = default;
};

// One object's status; which of the lists is in use depends on its kind.
struct ObjectStatus {
    ObjectKey key;
    std::string uid;                              // Gateway: of the object that was looked at
    std::vector<Condition> conditions;            // GatewayClass, Gateway
    std::vector<GatewayAddress> addresses;        // Gateway
    std::vector<ListenerStatus> listeners;        // Gateway
    std::vector<RouteParentStatus> parents;       // routes
    std::vector<PolicyAncestorStatus> ancestors;  // policies
    bool operator==(const ObjectStatus&) const = default;
};

// Of many objects: most are the same from one time to the next.
using Statuses = std::vector<Shared<ObjectStatus>>;

// A projection for what is sorted by key.
[[nodiscard]] inline const ObjectKey& key_of(const Shared<ObjectStatus>& status) { return status->key; }

// Calls `use(was, is)` for each of `after` that is not in `before` as it is; `was` is null where nothing has its key.
// Both are sorted by key.
template <class Use> void for_each_change(const Statuses& before, const Statuses& after, const Use& use)
{
    auto was = before.begin();
    for (const Shared<ObjectStatus>& is : after) {
        while (was != before.end() && was->get() != is.get() && (*was)->key < is->key)
            ++was;
        const bool is_known = was != before.end() && (*was)->key == is->key;
        if (!is_known || *was != is)
            use(is_known ? was->get() : nullptr, *is);
        if (is_known)
            ++was;
    }
}

}  // namespace sluice::model
