// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/upstream_pool.h"
#include "agent/proxy/upstream_connection.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "agent/proxy/http1_upstream.h"
#include "agent/proxy/http2_upstream.h"

namespace sluice::proxy {
namespace {

constexpr std::uint64_t kAvoidMs = 1'000;

}  // namespace

std::size_t UpstreamPool::KeyHash::operator()(const Key& key) const
{
    return SocketAddressHash{}(key.address) ^ static_cast<std::size_t>(key.protocol) ^
           reinterpret_cast<std::uintptr_t>(key.tls) >> 4U;
}

UpstreamPool::UpstreamPool(Worker& worker) : worker_(&worker) {}
UpstreamPool::~UpstreamPool() = default;

UpstreamPool::Endpoint& UpstreamPool::endpoint_of(const Target& target)
{
    Endpoint& endpoint = endpoints_[target.key()];
    if (endpoint.connections == 0) {
        endpoint.key = target.key();
        endpoint.tls = target.tls;
    }
    return endpoint;
}

Upstream* UpstreamPool::acquire(const Target& target, UpstreamUser& user, bool fresh)
{
    Endpoint& endpoint = endpoint_of(target);
    Upstream* upstream = endpoint.key.protocol == plan::AppProtocol::Http2 ? acquire_http2(endpoint, user, fresh)
                                                                           : acquire_http1(endpoint, user, fresh);
    if (upstream != nullptr)
        ++endpoint.in_flight;
    return upstream;
}

Upstream* UpstreamPool::acquire_http1(Endpoint& endpoint, UpstreamUser& user, bool fresh)
{
    Http1Upstream* upstream = nullptr;
    if (!fresh && !endpoint.idle.empty()) {
        upstream = endpoint.idle.back();
        endpoint.idle.pop_back();
        --idle_;
    } else {
        upstream = open<Http1Upstream>(endpoint);
    }
    if (upstream != nullptr)
        upstream->assign(user);
    return upstream;
}

Upstream* UpstreamPool::acquire_http2(Endpoint& endpoint, UpstreamUser& user, bool fresh)
{
    // One new connection is enough for all whose old one was lost.
    const auto found = std::ranges::find_if(endpoint.http2, [fresh](const Http2Upstream* each) {
        return each->has_room() && (!fresh || !each->has_served());
    });
    if (found != endpoint.http2.end())
        return &(*found)->open(user);
    auto* upstream = open<Http2Upstream>(endpoint);
    if (upstream == nullptr)
        return nullptr;
    endpoint.http2.push_back(upstream);
    return &upstream->open(user);
}

template <class Kind> Kind* UpstreamPool::open(Endpoint& endpoint)
{
    if (connections_.size() >= worker_->limits().upstream_connections_max && !discard_unused()) {
        worker_->hit(Limit::UpstreamConnections);
        return nullptr;
    }
    auto stream = Stream::open(worker_->loop(), endpoint.key.address);
    if (!stream)
        return nullptr;
    if (endpoint.tls != nullptr)
        (*stream)->start_tls(TlsSession::connect(endpoint.tls));
    auto made = std::make_unique<Kind>(*worker_, endpoint, *std::move(stream));
    Kind* upstream = made.get();
    connections_.push_front(std::move(made));
    connections_.front()->self_ = connections_.begin();
    ++endpoint.connections;
    upstream->connect(endpoint.key.address);
    return upstream;
}

bool UpstreamPool::put_idle(Http1Upstream& upstream, Endpoint& endpoint)
{
    const Limits& limits = worker_->limits();
    if (endpoint.idle.size() >= limits.pooled_per_endpoint_max || idle_ >= limits.pooled_per_worker_max ||
        worker_->draining())
        return false;
    endpoint.idle.push_back(&upstream);
    ++idle_;
    return true;
}

void UpstreamPool::take_idle(Http1Upstream& upstream, Endpoint& endpoint)
{
    idle_ -= std::erase(endpoint.idle, &upstream);
}

void UpstreamPool::discard(UpstreamConnection& connection)
{
    if (std::exchange(connection.ended_, true))
        return;
    connection.end();
    ended_.splice(ended_.begin(), connections_, connection.self_);
}

bool UpstreamPool::discard_unused()
{
    for (auto& [key, endpoint] : endpoints_) {
        if (!endpoint.idle.empty()) {
            Http1Upstream& oldest = *endpoint.idle.front();
            take_idle(oldest, endpoint);
            discard(oldest);
            return true;
        }
        const auto unused = std::ranges::find_if(endpoint.http2, &Http2Upstream::is_unused);
        if (unused != endpoint.http2.end()) {
            discard(**unused);
            return true;
        }
    }
    return false;
}

std::uint32_t UpstreamPool::load(const Key& key) const
{
    const auto found = endpoints_.find(key);
    if (found == endpoints_.end())
        return 0;
    const Endpoint& endpoint = found->second;
    const bool is_avoided = endpoint.avoid_until_ms > worker_->loop().now_ms();
    return is_avoided ? std::numeric_limits<std::uint32_t>::max() : endpoint.in_flight;
}

void UpstreamPool::avoid(const Target& target)
{
    endpoint_of(target).avoid_until_ms = worker_->loop().now_ms() + kAvoidMs;
}

void UpstreamPool::bury()
{
    if (ended_.empty())
        return;
    ended_.remove_if([](const auto& connection) {
        const bool is_over = connection->quiet();
        if (is_over)
            --connection->endpoint_->connections;
        return is_over;
    });
}

void UpstreamPool::sweep()
{
    std::erase_if(endpoints_, [now = worker_->loop().now_ms()](const auto& entry) {
        const Endpoint& endpoint = entry.second;
        return endpoint.connections == 0 && endpoint.in_flight == 0 && endpoint.avoid_until_ms <= now;
    });
}

}  // namespace sluice::proxy
