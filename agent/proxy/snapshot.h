// SPDX-License-Identifier: Apache-2.0
// A plan made ready for the workers: routers compiled, listeners found by (address, port). Immutable and shared; a
// request keeps the one it started with.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "agent/plan/plan.h"
#include "agent/proxy/router.h"

namespace sluice::proxy {

class Snapshot {
public:
    explicit Snapshot(plan::PlanPtr plan);

    struct Target {
        const Router* http = nullptr;  // or
        const plan::HttpPort* http_port = nullptr;
        const plan::L4Listener* l4 = nullptr;
    };
    // The listener of a TCP or UDP connection to `local`; its own address wins over "every address".
    [[nodiscard]] Target find(const SocketAddress& local, plan::Protocol protocol) const;
    [[nodiscard]] const plan::Plan& plan() const { return *plan_; }

private:
    using Key = std::pair<SocketAddress, plan::Protocol>;
    plan::PlanPtr plan_;
    std::vector<std::unique_ptr<Router>> routers_;
    std::map<Key, Target> targets_;
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace sluice::proxy
