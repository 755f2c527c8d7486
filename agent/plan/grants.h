// SPDX-License-Identifier: Apache-2.0
// Which references from one namespace into another the ReferenceGrants allow.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

#include "agent/plan/state.h"

namespace sluice::plan {

// The object that refers: a route, or a Gateway. Its group is that of Gateway API.
struct Referrer {
    std::string_view kind;
    std::string_view ns;
};

class Grants {
public:
    explicit Grants(const model::Objects& objects);

    // True also within one namespace, where no grant is needed. `to_kind` is of the core group.
    [[nodiscard]] bool allow(const Referrer& from, std::string_view to_kind, std::string_view to_ns,
                             std::string_view to_name) const;

private:
    std::unordered_set<std::string> keys_;
};

// "no ReferenceGrant in namespace …", for a reference that is not allowed.
[[nodiscard]] std::string not_granted(const Referrer& from, std::string_view to_kind, std::string_view to_ns,
                                      std::string_view to_name);

}  // namespace sluice::plan
