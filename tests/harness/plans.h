// SPDX-License-Identifier: Apache-2.0
// Plans for tests that need no planner.
#pragma once

#include <string>
#include <utility>

#include "agent/plan/plan.h"

namespace sluice::test {

// A listener that serves every path of its hostname by one rule.
inline plan::HttpListener listener_to(plan::HttpRule rule, const std::string& name, const std::string& hostname = "")
{
    const Shared<plan::HttpRule> shared(std::move(rule));
    return {.name = name,
            .hostname = hostname,
            .tls = nullptr,
            .hosts = {{hostname, {{model::HttpMatch{}, shared}}}},
            .rules = {shared}};
}

}  // namespace sluice::test
