// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/worker.h"

#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <future>

#include "agent/proxy/http1_connection.h"
#include "agent/proxy/listener.h"
#include "agent/proxy/tls_connection.h"
#include "agent/proxy/tunnel.h"
#include "agent/proxy/udp_relay.h"
#include "base/log.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kFreeExchangesMax = 256;  // as many are ready after a peak

}  // namespace

Worker::Worker(const Options& options, unsigned index)
    : options_(options),
      index_(index),
      connections_max_(std::max(1U, options.limits.connections_max / std::max(1U, options.workers))),
      random_(std::random_device{}() | 1U)
{
}

Worker::~Worker()
{
    if (!thread_.joinable())
        return;
    post([this] { stopping_ = true; });
    thread_.join();
}

Result<void> Worker::start(IoKind kind)
{
    std::promise<Result<void>> started;
    auto result = started.get_future();
    thread_ = std::thread(
        [this, kind, &started] { run(kind, [&started](Result<void> value) { started.set_value(std::move(value)); }); });
    Result<void> outcome = result.get();
    if (!outcome)
        thread_.join();  // it has no loop that a task could wake
    return outcome;
}

void Worker::run(IoKind kind, std::function<void(Result<void>)> started)
{
    const std::string name = "sluice-w" + std::to_string(index_);
    pthread_setname_np(pthread_self(), name.c_str());
    auto loop = Loop::make(kind);
    if (!loop) {
        started(std::unexpected(loop.error()));
        return;
    }
    loop_ = *std::move(loop);
    io_ = loop_->kind();
    upstreams_ = std::make_unique<UpstreamPool>(*this);
    loop_->set_on_wake([this] { run_tasks(); });
    started({});
    started = nullptr;
    while (!stopping_) {
        if (auto turned = loop_->turn(); !turned) {
            spdlog::critical("worker {}: {}", index_, to_string(turned.error()));
            std::abort();  // a worker that cannot wait serves nobody; the supervisor starts the process anew
        }
        flush();
        bury();
    }
    loop_->stop();
    connections_.clear();
    retired_.clear();
    listeners_.clear();
    retired_listeners_.clear();
    upstreams_.reset();
    exchanges_.clear();
    snapshot_.reset();
    loop_.reset();
}

void Worker::post(std::function<void()> task)
{
    // Under the lock, or a worker that is awake could take a task that ends its loop before this wakes it.
    const std::lock_guard lock(tasks_mutex_);
    tasks_.push_back(std::move(task));
    loop_->wake();
}

void Worker::call(std::function<void()> task)
{
    std::promise<void> done;
    post([&] {
        task();
        done.set_value();
    });
    done.get_future().wait();
}

void Worker::run_tasks()
{
    std::deque<std::function<void()>> due;
    {
        const std::lock_guard lock(tasks_mutex_);
        due.swap(tasks_);
    }
    for (auto& task : due)
        task();
}

void Worker::add_tcp_listener(UniqueFd fd, const std::string& key)
{
    auto listener = std::make_unique<TcpListener>(*this, std::move(fd));
    listener->start();
    listeners_[key] = std::move(listener);
}

void Worker::add_udp_listener(UniqueFd fd, const std::string& key, const SocketAddress& local)
{
    auto listener = std::make_unique<UdpListener>(*this, std::move(fd), local);
    listener->start();
    listeners_[key] = std::move(listener);
}

void Worker::remove_listener(const std::string& key)
{
    const auto found = listeners_.find(key);
    if (found == listeners_.end())
        return;
    found->second->close();
    retired_listeners_.push_back(std::move(found->second));
    listeners_.erase(found);
}

void Worker::on_accepted(UniqueFd fd)
{
    sockaddr_storage own{};
    sockaddr_storage other{};
    socklen_t own_size = sizeof own;
    socklen_t other_size = sizeof other;
    if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &own_size) != 0 ||
        getpeername(fd.get(), reinterpret_cast<sockaddr*>(&other), &other_size) != 0)
        return;  // gone again
    const auto local = SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&own));
    const auto peer = SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&other));
    if (!local || !peer || !snapshot_)
        return;
    const auto& target = snapshot_->find(*local, plan::Protocol::Tcp);
    auto stream = std::make_unique<Stream>(*loop_, std::move(fd));
    if (target.tls_port != nullptr || (target.http_port != nullptr && target.http_port->tls)) {
        auto connection = std::make_unique<TlsConnection>(*this, std::move(stream), *local, *peer);
        TlsConnection& started = *connection;
        adopt(std::move(connection));
        started.start();
    } else if (target.http != nullptr) {
        auto connection = std::make_unique<Http1Connection>(
            *this, std::move(stream), Arrival{*local, peer->address.to_string(), false, trusts(peer->address)});
        Http1Connection& started = *connection;
        adopt(std::move(connection));
        started.start();
    } else if (target.l4 != nullptr) {
        ListenerCounters& counters = counters_.of(target.l4->name);
        count(counters.connections);
        auto tunnel =
            std::make_unique<Tunnel>(*this, std::move(stream), Bytes{}, target.l4->backends, snapshot_, counters);
        Tunnel& started = *tunnel;
        adopt(std::move(tunnel));
        started.start();
    }
}

bool Worker::trusts(const IpAddress& peer) const
{
    return std::ranges::any_of(options_.trusted_proxies, [&](const IpPrefix& each) { return each.contains(peer); });
}

void Worker::adopt(std::unique_ptr<Connection> connection)
{
    connections_.push_front(std::move(connection));
    connections_.front()->self_ = connections_.begin();
    open_.store(connections_.size(), std::memory_order_relaxed);
}

void Worker::retire(Connection& connection)
{
    if (connection.retired_)
        return;
    connection.retired_ = true;
    retired_.splice(retired_.begin(), connections_, connection.self_);
    open_.store(connections_.size(), std::memory_order_relaxed);
}

void Worker::set_snapshot(SnapshotPtr snapshot)
{
    snapshot_ = std::move(snapshot);
    for (Exchange* exchange : free_exchanges_)
        exchange->forget_snapshot();
    counters_by_listener_.clear();
    upstreams_->sweep();
}

ListenerCounters& Worker::counters_of(const plan::HttpListener& listener)
{
    ListenerCounters*& known = counters_by_listener_[&listener];
    if (known == nullptr)
        known = &counters_.of(listener.name);
    return *known;
}

Exchange& Worker::take_exchange()
{
    if (free_exchanges_.empty()) {
        exchanges_.push_back(std::make_unique<Exchange>(*this, exchanges_.size()));
        return *exchanges_.back();
    }
    Exchange& exchange = *free_exchanges_.back();
    free_exchanges_.pop_back();
    return exchange;
}

void Worker::give_back(Exchange& exchange) { ended_exchanges_.push_back(&exchange); }

void Worker::flush_soon(Flushable& flushable)
{
    if (!std::exchange(flushable.is_due_, true))
        due_.push_back(&flushable);
}

void Worker::flush()
{
    // Flushing may make others due.
    for (std::size_t i = 0; i < due_.size(); ++i) {
        due_[i]->is_due_ = false;
        due_[i]->flush();
    }
    due_.clear();
    for (Exchange* exchange : ended_exchanges_)
        free(*exchange);
    ended_exchanges_.clear();
}

void Worker::free(Exchange& exchange)
{
    exchange.reset();
    if (free_exchanges_.size() < kFreeExchangesMax)
        return free_exchanges_.push_back(&exchange);
    // The last one takes its place.
    const std::size_t place = exchange.place();
    exchanges_.back()->set_place(place);
    std::swap(exchanges_[place], exchanges_.back());
    exchanges_.pop_back();
}

void Worker::bury()
{
    for (const auto& [key, listener] : listeners_)
        listener->bury();
    retired_.remove_if([](const auto& connection) { return connection->quiet(); });
    retired_listeners_.remove_if([](const auto& listener) { return listener->quiet(); });
    upstreams_->bury();
}

bool Worker::turned()
{
    if (!has_turned_.exchange(false))
        return false;
    post([this] { has_turned_ = true; });
    return true;
}

void Worker::begin_drain(Arrivals arrivals)
{
    draining_ = true;
    while (arrivals == Arrivals::Refused && !listeners_.empty())
        remove_listener(std::string(listeners_.begin()->first));
    for (auto connection = connections_.begin(); connection != connections_.end();)
        (*connection++)->drain(arrivals);  // may retire itself
}

void Worker::close_all()
{
    while (!connections_.empty())
        connections_.front()->close();
}

}  // namespace sluice::proxy
