// SPDX-License-Identifier: Apache-2.0
// What the pool knows of a connection to a backend, of either version of HTTP.
#pragma once

#include <list>
#include <memory>

#include "agent/proxy/upstream_pool.h"
#include "agent/proxy/worker.h"

namespace sluice::proxy {

class UpstreamConnection {
public:
    virtual ~UpstreamConnection() = default;
    UpstreamConnection(const UpstreamConnection&) = delete;
    UpstreamConnection& operator=(const UpstreamConnection&) = delete;
    virtual void end() = 0;  // nobody uses it any more: cancels what is under way
    [[nodiscard]] virtual bool quiet() const = 0;

protected:
    UpstreamConnection(Worker& worker, UpstreamPool::Endpoint& endpoint) : worker_(&worker), endpoint_(&endpoint) {}
    Worker* worker_;
    UpstreamPool::Endpoint* endpoint_;

private:
    friend class UpstreamPool;
    std::list<std::unique_ptr<UpstreamConnection>>::iterator self_;
    bool ended_ = false;
};

}  // namespace sluice::proxy
