// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/upstream_pool.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "agent/proxy/worker.h"

namespace sluice::proxy {

Upstream::Upstream(Worker& worker, const SocketAddress& to) : endpoint(to), worker_(&worker) {}

void Upstream::connect(UniqueFd socket)
{
    fd = std::move(socket);
    worker_->loop().arm(timer_, worker_->limits().connect_timeout_ms);
    worker_->loop().connect(fd.get(), endpoint, connect_);
}

void Upstream::recv()
{
    if (!recv_.pending())
        worker_->loop().recv(fd.get(), recv_);
}

void Upstream::send(std::span<const iovec> spans)
{
    sender = user;
    worker_->loop().send(fd.get(), spans, send_);
}

void Upstream::on_connect(int result, Buffer)
{
    worker_->loop().disarm(timer_);
    if (user != nullptr)
        user->on_upstream_connected(timed_out_ ? -ETIMEDOUT : result);
}

void Upstream::on_recv(int result, Buffer buffer)
{
    if (user != nullptr)
        user->on_upstream_data(result, std::move(buffer));
    else
        worker_->upstreams().on_idle_event(*this);
}

void Upstream::on_send(int result, Buffer)
{
    UpstreamUser* from = std::exchange(sender, nullptr);
    if (user != nullptr)
        user->on_upstream_sent(result);
    else if (from != nullptr)
        from->on_orphan_sent();
}

void Upstream::on_timeout()
{
    timed_out_ = true;
    if (connect_.pending())
        worker_->loop().cancel(connect_);
    else if (user == nullptr)
        worker_->upstreams().on_idle_event(*this);
}

UpstreamPool::~UpstreamPool() = default;

Upstream* UpstreamPool::acquire(const SocketAddress& endpoint, UpstreamUser& user, bool fresh)
{
    Endpoint& pooled = endpoints_[endpoint];
    if (!fresh && !pooled.idle.empty()) {
        Upstream* upstream = pooled.idle.back();
        pooled.idle.pop_back();
        --idle_;
        worker_->loop().disarm(upstream->timer_);
        upstream->user = &user;
        upstream->reused = true;
        ++pooled.in_flight;
        return upstream;
    }
    UniqueFd fd(::socket(endpoint.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid())
        return nullptr;
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto upstream = std::make_unique<Upstream>(*worker_, endpoint);
    Upstream* raw = upstream.get();
    all_.emplace(raw, std::move(upstream));
    raw->user = &user;
    ++pooled.in_flight;
    raw->connect(std::move(fd));
    return raw;
}

void UpstreamPool::release(Upstream& upstream)
{
    Endpoint& pooled = endpoints_[upstream.endpoint];
    if (pooled.idle.size() >= worker_->limits().pooled_per_endpoint_max ||
        idle_ >= worker_->limits().pooled_per_worker_max || worker_->draining())
        return discard(upstream);
    --pooled.in_flight;
    upstream.user = nullptr;
    pooled.idle.push_back(&upstream);
    ++idle_;
    upstream.recv();
    worker_->loop().arm(upstream.timer_, worker_->limits().upstream_idle_timeout_ms);
}

void UpstreamPool::discard(Upstream& upstream)
{
    if (upstream.user != nullptr)
        --endpoints_[upstream.endpoint].in_flight;
    upstream.user = nullptr;
    Loop& loop = worker_->loop();
    loop.disarm(upstream.timer_);
    loop.cancel(upstream.connect_);
    loop.cancel(upstream.recv_);
    loop.cancel(upstream.send_);
    ending_.push_back(&upstream);
}

// An idle connection that was closed, spoke unasked or was unused for long: gone.
void UpstreamPool::on_idle_event(Upstream& upstream)
{
    if (std::ranges::find(ending_, &upstream) != ending_.end())
        return;
    idle_ -= std::erase(endpoints_[upstream.endpoint].idle, &upstream);
    discard(upstream);
}

std::uint32_t UpstreamPool::in_flight(const SocketAddress& endpoint) const
{
    const auto found = endpoints_.find(endpoint);
    return found == endpoints_.end() ? 0 : found->second.in_flight;
}

UniqueFd UpstreamPool::detach(Upstream& upstream)
{
    UniqueFd fd = std::move(upstream.fd);
    discard(upstream);
    return fd;
}

void UpstreamPool::bury()
{
    for (std::size_t i = 0; i < ending_.size();) {
        Upstream* upstream = ending_[i];
        if (!upstream->quiet()) {
            ++i;
            continue;
        }
        ending_[i] = ending_.back();
        ending_.pop_back();
        worker_->loop().close(std::move(upstream->fd));
        const auto endpoint = endpoints_.find(upstream->endpoint);
        if (endpoint != endpoints_.end() && endpoint->second.idle.empty() && endpoint->second.in_flight == 0)
            endpoints_.erase(endpoint);
        all_.erase(upstream);
    }
}

}  // namespace sluice::proxy
