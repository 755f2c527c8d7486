// SPDX-License-Identifier: Apache-2.0
// Which of several hostnames a server name (RFC 6066 section 3) means.
#pragma once

#include <string_view>
#include <vector>

#include "agent/plan/hostname.h"

namespace sluice::proxy {

// The one of `all` whose `hostname` covers `name` (lower case) most specifically; null: none does. Lives as long as
// `all`.
template <class Named> const Named* most_specific(const std::vector<Named>& all, std::string_view name)
{
    const Named* best = nullptr;
    for (const Named& each : all) {
        if (plan::covers(each.hostname, name) &&
            (best == nullptr || plan::is_more_specific(each.hostname, best->hostname)))
            best = &each;
    }
    return best;
}

}  // namespace sluice::proxy
