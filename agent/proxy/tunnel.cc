// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/tunnel.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "agent/proxy/balancer.h"

namespace sluice::proxy {
namespace {

constexpr unsigned kConnectAttempts = 3;

}  // namespace

Tunnel::Tunnel(Worker& worker, UniqueFd client, const plan::L4Listener& listener, SnapshotPtr snapshot)
    : worker_(&worker),
      snapshot_(std::move(snapshot)),
      listener_(&listener),
      counters_(&worker.counters().of(listener.name)),
      client_(std::move(client)),
      up_{&client_, &backend_, {}, {}, &counters_->bytes_in},
      down_{&backend_, &client_, {}, {}, &counters_->bytes_out}
{
    count(counters_->connections);
}

Tunnel::Tunnel(Worker& worker, UniqueFd client, UniqueFd backend, std::string to_client, std::string to_backend,
               ListenerCounters& counters)
    : worker_(&worker),
      counters_(&counters),
      client_(std::move(client)),
      backend_(std::move(backend)),
      up_{&client_, &backend_, {}, std::move(to_backend), &counters_->bytes_in},
      down_{&backend_, &client_, {}, std::move(to_client), &counters_->bytes_out}
{
}

void Tunnel::start()
{
    if (!backend_.valid())
        return connect();
    worker_->loop().arm(timer_, worker_->limits().stream_idle_timeout_ms);
    send_first(up_, client_recv_, backend_send_);
    send_first(down_, backend_recv_, client_send_);
}

void Tunnel::send_first(Direction& direction, Completion& recv, Completion& send)
{
    if (direction.first.empty())
        return worker_->loop().recv(direction.from->get(), recv);
    const iovec span{direction.first.data(), direction.first.size()};
    worker_->loop().send(direction.to->get(), {&span, 1}, send);
}

void Tunnel::connect()
{
    const plan::Backend* backend = pick_backend(listener_->backends, *worker_);
    if (backend == nullptr || !backend->valid || backend->endpoints.empty())
        return refuse();
    const SocketAddress& endpoint = pick_endpoint(*backend, *worker_, tried_);
    backend_.reset(
        ::socket(endpoint.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!backend_.valid())
        return refuse();
    const int on = 1;
    setsockopt(backend_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(client_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    tried_.push_back(endpoint);
    worker_->loop().arm(timer_, worker_->limits().connect_timeout_ms);
    worker_->loop().connect(backend_.get(), endpoint, connect_);
}

// The API asks that a share without a backend is actively rejected: a reset, not a quiet end.
void Tunnel::refuse()
{
    count(counters_->refused);
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(client_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close();
}

void Tunnel::on_connected(int result, Buffer)
{
    if (closing_)
        return;
    if (result == 0)
        return start();
    worker_->loop().close(std::move(backend_));
    if (tried_.size() < kConnectAttempts)
        return connect();
    refuse();
}

void Tunnel::pump(Direction& direction, Completion&, Completion& send, int result, Buffer buffer)
{
    if (closing_)
        return;
    if (result < 0)
        return close();
    if (result == 0)
        return end_direction(direction);
    worker_->loop().arm(timer_, worker_->limits().stream_idle_timeout_ms);
    count(*direction.bytes, static_cast<std::uint64_t>(result));
    direction.buffer = std::move(buffer);
    const iovec span{direction.buffer.data(), direction.buffer.size()};
    worker_->loop().send(direction.to->get(), {&span, 1}, send);
}

void Tunnel::sent(Direction& direction, Completion& recv, int result)
{
    direction.buffer.reset();
    direction.first.clear();
    if (closing_)
        return;
    if (result < 0)
        return close();
    worker_->loop().arm(timer_, worker_->limits().stream_idle_timeout_ms);
    worker_->loop().recv(direction.from->get(), recv);
}

void Tunnel::end_direction(Direction& direction)
{
    direction.done = true;
    if (up_.done && down_.done)
        return close();
    ::shutdown(direction.to->get(), SHUT_WR);
}

void Tunnel::on_timeout()
{
    if (connect_.pending())
        worker_->loop().cancel(connect_);
    else
        close();
}

void Tunnel::close()
{
    if (closing_)
        return;
    closing_ = true;
    Loop& loop = worker_->loop();
    loop.disarm(timer_);
    for (Completion* completion : {static_cast<Completion*>(&connect_), static_cast<Completion*>(&client_recv_),
                                   static_cast<Completion*>(&client_send_), static_cast<Completion*>(&backend_recv_),
                                   static_cast<Completion*>(&backend_send_)})
        loop.cancel(*completion);
    worker_->retire(*this);
}

bool Tunnel::quiet() const
{
    return !connect_.pending() && !client_recv_.pending() && !client_send_.pending() && !backend_recv_.pending() &&
           !backend_send_.pending();
}

}  // namespace sluice::proxy
