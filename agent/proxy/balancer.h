// SPDX-License-Identifier: Apache-2.0
// Which backend and which of its endpoints serve a request or connection: backends by weight, endpoints by the
// smaller number of requests under way out of two picked at random.
#pragma once

#include <algorithm>
#include <vector>

#include "agent/plan/plan.h"
#include "agent/proxy/worker.h"

namespace sluice::proxy {

// nullptr: no weight at all.
[[nodiscard]] inline const plan::Backend* pick_backend(const std::vector<plan::Backend>& backends, Worker& worker)
{
    if (backends.size() == 1)
        return backends.front().weight == 0 ? nullptr : &backends.front();
    std::uint64_t total = 0;
    for (const plan::Backend& backend : backends)
        total += backend.weight;
    if (total == 0)
        return nullptr;
    std::uint64_t point = worker.random(static_cast<std::uint32_t>(total));  // 16 refs of 1,000,000 at most
    for (const plan::Backend& backend : backends) {
        if (point < backend.weight)
            return &backend;
        point -= backend.weight;
    }
    return nullptr;
}

// `backend.endpoints` must not be empty. Those in `tried` failed for this request: they come again only when there is
// no other, since an endpoint that is down has the fewest requests under way.
[[nodiscard]] inline const SocketAddress& pick_endpoint(const plan::Backend& backend, Worker& worker,
                                                        const std::vector<SocketAddress>& tried = {},
                                                        const TlsClientContext* tls = nullptr)
{
    const auto was_tried = [&](const SocketAddress& endpoint) {
        return std::ranges::find(tried, endpoint) != tried.end();
    };
    const auto count = static_cast<std::uint32_t>(backend.endpoints.size());
    if (count == 1)
        return backend.endpoints.front();
    if (!tried.empty()) {
        const std::uint32_t start = worker.random(count);
        for (std::uint32_t i = 0; i < count; ++i) {
            const SocketAddress& endpoint = backend.endpoints[(start + i) % count];
            if (!was_tried(endpoint))
                return endpoint;
        }
    }
    const SocketAddress& first = backend.endpoints[worker.random(count)];
    const SocketAddress& second = backend.endpoints[worker.random(count)];
    const UpstreamPool& pool = worker.upstreams();
    const auto load = [&](const SocketAddress& address) { return pool.load({address, backend.app_protocol, tls}); };
    return load(second) < load(first) ? second : first;
}

}  // namespace sluice::proxy
