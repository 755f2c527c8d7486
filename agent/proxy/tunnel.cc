// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/tunnel.h"

#include <algorithm>

#include "agent/proxy/balancer.h"

namespace sluice::proxy {
namespace {

constexpr unsigned kConnectAttempts = 3;

}  // namespace

Tunnel::Tunnel(Worker& worker, std::unique_ptr<Stream> client, Bytes first, const std::vector<plan::Backend>& backends,
               SnapshotPtr snapshot, ListenerCounters& counters)
    : worker_(&worker), snapshot_(std::move(snapshot)), backends_(&backends), counters_(&counters)
{
    client_.stream = std::move(client);
    client_.stream->set_user(&client_);
    backend_.out = std::move(first);
}

Tunnel::Tunnel(Worker& worker, std::unique_ptr<Stream> client, std::unique_ptr<Stream> backend, Bytes to_client,
               Bytes to_backend, ListenerCounters& counters)
    : worker_(&worker), counters_(&counters)
{
    client_.stream = std::move(client);
    client_.stream->set_user(&client_);
    client_.out = std::move(to_client);
    backend_.stream = std::move(backend);
    backend_.stream->set_user(&backend_);
    backend_.out = std::move(to_backend);
}

void Tunnel::start()
{
    if (backend_.stream == nullptr)
        connect();
    else
        relay();
}

void Tunnel::relay()
{
    worker_->loop().arm(timer_, worker_->limits().stream_idle_timeout_ms);
    for (End* to : {&client_, &backend_}) {
        if (to->out.empty())
            other(*to).stream->recv();
        else
            send(*to, std::move(to->out));
    }
}

void Tunnel::connect()
{
    const plan::Backend* backend = pick_backend(*backends_, *worker_);
    if (backend == nullptr || !backend->valid || backend->endpoints.empty())
        return refuse();
    // What was decrypted here may leave by the backend's policy alone.
    const bool over_tls = backend->tls && client_.stream->tls() != nullptr;
    const auto tls = over_tls ? snapshot_->relay_tls_of(*backend) : nullptr;
    if (over_tls && tls == nullptr)
        return refuse();
    const SocketAddress& endpoint = pick_endpoint(*backend, *worker_, tried_);
    auto stream = Stream::open(worker_->loop(), endpoint);
    if (!stream)
        return refuse();
    tried_.push_back(endpoint);
    backend_.stream = *std::move(stream);
    backend_.stream->set_user(&backend_);
    if (over_tls)
        backend_.stream->start_tls(TlsSession::connect(tls));
    connecting_ = true;
    worker_->loop().arm(timer_, worker_->limits().connect_timeout_ms);
    backend_.stream->connect(endpoint);
}

// The API asks that a share without a backend is actively rejected: a reset, not a quiet end.
void Tunnel::refuse()
{
    count(counters_->refused);
    close();
}

void Tunnel::on_connected(int result)
{
    if (closing_)
        return;
    connecting_ = false;
    if (result == 0)
        return relay();
    failed_.push_back(std::move(backend_.stream));
    if (tried_.size() < kConnectAttempts)
        return connect();
    refuse();
}

void Tunnel::send(End& to, Bytes bytes)
{
    to.out = std::move(bytes);
    const iovec span{to.out.data(), to.out.size()};
    to.stream->send({&span, 1});
}

void Tunnel::on_data(End& from, int result, Buffer buffer)
{
    if (closing_)
        return;
    if (result < 0)
        return close();
    if (result == 0) {
        from.ended = true;
        if (!other(from).stream->sending())
            pass_end(from);
        return;
    }
    worker_->loop().arm(timer_, worker_->limits().stream_idle_timeout_ms);
    count(&from == &client_ ? counters_->bytes_in : counters_->bytes_out, static_cast<std::uint64_t>(result));
    End& to = other(from);
    if (to.stream->sending())
        to.next = Bytes(std::move(buffer));
    else
        send(to, Bytes(std::move(buffer)));
}

// All that came before it has been sent on.
void Tunnel::pass_end(End& from)
{
    End& to = other(from);
    from.passed = true;
    // Also where that side ended first: one that speaks TLS must be told that this is the end (RFC 8446 section 6.1).
    to.stream->shutdown_write();
    if (to.ended && !from.stream->sending())
        close();
}

void Tunnel::on_sent(End& to, int result)
{
    to.out.clear();
    if (closing_)
        return;
    if (result < 0)
        return close();
    worker_->loop().arm(timer_, worker_->limits().stream_idle_timeout_ms);
    if (!to.next.empty())
        return send(to, std::move(to.next));
    if (other(to).ended)
        return pass_end(other(to));
    other(to).stream->recv();
}

void Tunnel::on_timeout()
{
    worker_->hit(connecting_ ? Limit::ConnectTimeout : Limit::StreamIdleTimeout);
    if (connecting_)
        backend_.stream->cancel_connect();
    else
        close();
}

void Tunnel::close()
{
    if (closing_)
        return;
    closing_ = true;
    worker_->loop().disarm(timer_);
    for (End* end : {&client_, &backend_}) {
        if (end->stream == nullptr)
            continue;
        if (!other(*end).passed)
            end->stream->reset_on_close();
        end->stream->abandon();
    }
    worker_->retire(*this);
}

bool Tunnel::quiet() const
{
    const auto is_quiet = [](const std::unique_ptr<Stream>& stream) { return stream == nullptr || stream->quiet(); };
    return is_quiet(client_.stream) && is_quiet(backend_.stream) && std::ranges::all_of(failed_, is_quiet);
}

}  // namespace sluice::proxy
