// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/proxy.h"

#include <netinet/tcp.h>
#include <sched.h>

#include <algorithm>
#include <set>
#include <thread>

#include "agent/proxy/snapshot.h"
#include "agent/proxy/stream.h"
#include "agent/proxy/worker.h"
#include "base/clock.h"
#include "base/log.h"

namespace sluice::proxy {
namespace {

constexpr int kBacklog = 4096;
constexpr const char* kSteered = "steered";

unsigned usable_cpus()
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? static_cast<unsigned>(CPU_COUNT(&cpus)) : 1;
}

// A dual-stack socket: IPv4 addresses are bound in their mapped form.
Result<UniqueFd> open_socket(int type, const SocketAddress& address)
{
    UniqueFd fd(::socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid())
        return fail(errno, "socket", address.to_string());
    const int on = 1;
    const int off = 0;
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (type == SOCK_STREAM) {
        setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        set_tcp_options(fd.get());
    } else {
        setsockopt(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    }
    const sockaddr_in6 name = address.to_sockaddr6();
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
        return fail(errno, "bind", address.to_string());
    if (type == SOCK_STREAM && ::listen(fd.get(), kBacklog) != 0)
        return fail(errno, "listen", address.to_string());
    return fd;
}

struct Wanted {
    std::string key;  // "tcp 192.0.2.1:80"
    int type = SOCK_STREAM;
    SocketAddress address;
    std::vector<std::string> listeners;  // of the plan
};

void add_wanted(std::vector<Wanted>& out, int type, const std::vector<IpAddress>& addresses, std::uint16_t port,
                const std::vector<std::string>& listeners)
{
    const auto add = [&](const IpAddress& address) {
        const SocketAddress local{address, port};
        out.push_back({(type == SOCK_STREAM ? "tcp " : "udp ") + local.to_string(), type, local, listeners});
    };
    std::ranges::for_each(addresses, add);
    if (addresses.empty())
        add(IpAddress{});
}

// The sockets that a plan needs. Steered TCP needs none; UDP always does, since replies leave by the bound port.
std::vector<Wanted> wanted_sockets(const plan::Plan& plan, Ingress ingress,
                                   const std::map<std::string, std::string>& taken)
{
    std::vector<Wanted> wanted;
    for (const plan::L4Listener& listener : plan.l4) {
        const int type = listener.protocol == plan::Protocol::Tcp ? SOCK_STREAM : SOCK_DGRAM;
        if ((type == SOCK_DGRAM || ingress == Ingress::Bound) && !taken.contains(listener.name))
            add_wanted(wanted, type, listener.addresses, listener.port, {listener.name});
    }
    for (const plan::HttpPort& port : plan.http) {
        std::vector<std::string> names;
        for (const plan::HttpListener& listener : port.listeners)
            names.push_back(listener.name);
        if (ingress == Ingress::Bound)
            add_wanted(wanted, SOCK_STREAM, port.addresses, port.port, names);
    }
    for (const plan::TlsPort& port : plan.tls) {
        std::vector<std::string> names;
        for (const plan::TlsHost& host : port.hosts)
            names.push_back(host.listener);
        if (ingress == Ingress::Bound)
            add_wanted(wanted, SOCK_STREAM, port.addresses, port.port, names);
    }
    return wanted;
}

}  // namespace

struct Proxy::State {
    std::vector<std::unique_ptr<Worker>> workers;
    TlsContexts tls;
    int steered_fd = -1;  // borrowed from the first worker
    std::set<std::string> bound;
    std::size_t next_udp_worker = 0;

    Result<void> open_steered();
    Result<void> open(const Wanted& wanted);
    void close(const std::string& key);
};

Result<void> Proxy::State::open_steered()
{
    // Bound to every address: a socket bound to one IPv6 address counts as IPv6 only, and sk_lookup may not hand it
    // IPv4. Who connects to the port itself meets no listener and is closed at once.
    SocketAddress address{};
    for (const auto& worker : workers) {
        auto fd = open_socket(SOCK_STREAM, address);
        if (!fd)
            return std::unexpected(fd.error());
        if (steered_fd < 0) {
            steered_fd = fd->get();
            sockaddr_storage name{};
            socklen_t size = sizeof name;
            getsockname(fd->get(), reinterpret_cast<sockaddr*>(&name), &size);
            address.port = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&name)).value_or(address).port;
        }
        worker->call([&] { worker->add_tcp_listener(*std::move(fd), kSteered); });
    }
    return {};
}

Result<void> Proxy::State::open(const Wanted& wanted)
{
    if (wanted.type == SOCK_DGRAM) {
        auto fd = open_socket(SOCK_DGRAM, wanted.address);
        if (!fd)
            return std::unexpected(fd.error());
        Worker& worker = *workers[next_udp_worker++ % workers.size()];
        worker.call([&] { worker.add_udp_listener(*std::move(fd), wanted.key, wanted.address); });
        return {};
    }
    std::vector<UniqueFd> sockets;
    for (std::size_t i = 0; i < workers.size(); ++i) {
        auto fd = open_socket(SOCK_STREAM, wanted.address);
        if (!fd)
            return std::unexpected(fd.error());
        sockets.push_back(*std::move(fd));
    }
    for (std::size_t i = 0; i < workers.size(); ++i)
        workers[i]->call([&] { workers[i]->add_tcp_listener(std::move(sockets[i]), wanted.key); });
    return {};
}

void Proxy::State::close(const std::string& key)
{
    for (const auto& worker : workers)
        worker->call([&] { worker->remove_listener(key); });
}

Proxy::Proxy(std::unique_ptr<State> state) : state_(std::move(state)) {}
Proxy::~Proxy() = default;

Result<std::unique_ptr<Proxy>> Proxy::make(const Options& wanted)
{
    Options options = wanted;
    if (options.workers == 0)
        options.workers = usable_cpus();
    auto state = std::make_unique<State>();
    for (unsigned index = 0; index < options.workers; ++index) {
        auto worker = std::make_unique<Worker>(options, index);
        if (auto started = worker->start(options.io); !started)
            return std::unexpected(started.error());
        state->workers.push_back(std::move(worker));
    }
    if (auto opened = state->open_steered(); !opened)
        return std::unexpected(opened.error());
    return std::unique_ptr<Proxy>(new Proxy(std::move(state)));
}

IoKind Proxy::io() const { return state_->workers.front()->io(); }
unsigned Proxy::workers() const { return static_cast<unsigned>(state_->workers.size()); }
int Proxy::steered_tcp_fd() const { return state_->steered_fd; }

std::vector<ListenProblem> Proxy::publish(plan::PlanPtr plan, Ingress ingress,
                                          const std::map<std::string, std::string>& taken)
{
    const auto snapshot = std::make_shared<const Snapshot>(plan, state_->tls);
    tend();
    // Sockets that go are closed before the new snapshot, those that come are opened after it: what is accepted
    // always finds its listener.
    const auto wanted = wanted_sockets(*plan, ingress, taken);
    std::set<std::string> keys;
    for (const Wanted& socket : wanted)
        keys.insert(socket.key);
    std::erase_if(state_->bound, [&](const std::string& key) {
        if (keys.contains(key))
            return false;
        state_->close(key);
        return true;
    });
    for (const auto& worker : state_->workers)
        worker->call([&] { worker->set_snapshot(snapshot); });

    std::vector<ListenProblem> problems = snapshot->problems();
    for (const Wanted& socket : wanted) {
        if (state_->bound.contains(socket.key))
            continue;
        if (auto opened = state_->open(socket); !opened) {
            for (const std::string& listener : socket.listeners)
                problems.push_back({listener, to_string(opened.error())});
            continue;
        }
        state_->bound.insert(socket.key);
    }
    return problems;
}

void Proxy::tend() { state_->tls.sweep(monotonic_ms()); }

std::vector<ListenerStats> Proxy::stats() const
{
    std::map<std::string, ListenerStats> sums;
    for (const auto& worker : state_->workers)
        std::as_const(*worker).counters().add_to(sums);
    std::vector<ListenerStats> result;
    for (auto& [name, sum] : sums)
        result.push_back(std::move(sum));
    return result;
}

std::map<std::string, std::uint64_t> Proxy::limit_hits() const
{
    std::map<std::string, std::uint64_t> sums;
    for (const auto& worker : state_->workers)
        worker->limit_counters().add_to(sums);
    return sums;
}

std::uint64_t Proxy::open_connections() const
{
    std::uint64_t sum = 0;
    for (const auto& worker : state_->workers)
        sum += worker->open_connections();
    return sum;
}

bool Proxy::turned()
{
    bool all = true;
    for (const auto& worker : state_->workers)
        all = worker->turned() && all;
    return all;
}

std::uint64_t Proxy::drain(std::uint32_t deadline_ms, Arrivals arrivals)
{
    constexpr auto kLook = std::chrono::milliseconds(5);
    const std::uint64_t deadline = monotonic_ms() + deadline_ms;
    for (const auto& worker : state_->workers)
        worker->call([&] { worker->begin_drain(arrivals); });
    state_->bound.clear();
    while (open_connections() > 0 && monotonic_ms() < deadline)
        std::this_thread::sleep_for(kLook);
    const std::uint64_t cut = open_connections();
    for (const auto& worker : state_->workers)
        worker->call([&] { worker->close_all(); });
    return cut;
}

}  // namespace sluice::proxy
