// SPDX-License-Identifier: Apache-2.0
// The conditions of a match besides its path: method, headers, query parameters. Compiled once, evaluated without an
// allocation.
#pragma once

#include <re2/re2.h>

#include <string_view>
#include <vector>

#include "agent/proxy/router.h"

namespace sluice::proxy {

// A condition on one header or query parameter. The views and the expression belong to the plan and the router.
struct ValueCondition {
    std::string_view name;
    std::string_view exact;      // without `regex`
    const RE2* regex = nullptr;  // must match the whole value
};

struct Conditions {
    std::string_view method;  // empty: every method
    std::vector<ValueCondition> headers;
    std::vector<ValueCondition> query_params;
};

[[nodiscard]] bool meets(const RequestView& request, const Conditions& conditions);

}  // namespace sluice::proxy
