// SPDX-License-Identifier: Apache-2.0
// One worker thread: its loop, listening sockets, connections and upstream pool. Everything but `run`'s start and the
// methods marked so is for the worker's own thread.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>

#include "agent/proxy/bound.h"
#include "agent/proxy/counters.h"
#include "agent/proxy/exchange.h"
#include "agent/proxy/http1_body.h"
#include "agent/proxy/snapshot.h"
#include "agent/proxy/upstream_pool.h"

namespace sluice::proxy {

class Worker;

// Something with descriptors and operations that lives until it is closed and its last operation is over.
class Connection {
public:
    virtual ~Connection() = default;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    virtual void close() = 0;                      // starts the end: cancels what is pending
    [[nodiscard]] virtual bool quiet() const = 0;  // nothing is pending
    // Ends as soon as nothing is under way; with Arrivals::Served, after one more request or when its client likes.
    virtual void drain(Arrivals arrivals) = 0;

protected:
    Connection() = default;
    [[nodiscard]] bool retired() const { return retired_; }  // `close` was called

private:
    friend class Worker;
    std::list<std::unique_ptr<Connection>>::iterator self_;
    bool retired_ = false;
};

// What gathers output during a turn and sends it at the turn's end.
class Flushable {
public:
    virtual ~Flushable() = default;
    virtual void flush() = 0;

private:
    friend class Worker;
    bool is_due_ = false;
};

// Space for what a turn needs once at a time.
struct Scratch {
    http1::RequestHead request{};
    http1::ResponseHead response{};
    std::array<char, 64 * 1024> path{};  // as long as a target may be: a head's limit
};

class Listener;

class Worker {
public:
    Worker(const Options& options, unsigned index);
    ~Worker();

    // From the control thread:
    [[nodiscard]] Result<void> start(IoKind kind);
    void post(std::function<void()> task);  // runs on the worker's thread, in order
    void call(std::function<void()> task);  // the same, and waits for it
    [[nodiscard]] IoKind io() const { return io_; }
    [[nodiscard]] const CounterTable& counters() const { return counters_; }
    [[nodiscard]] const LimitCounters& limit_counters() const { return limit_counters_; }
    [[nodiscard]] std::uint64_t open_connections() const { return open_.load(std::memory_order_relaxed); }

    Loop& loop() { return *loop_; }
    const Limits& limits() const { return options_.limits; }
    CounterTable& counters() { return counters_; }
    void hit(Limit limit) { limit_counters_.hit(limit); }
    [[nodiscard]] ListenerCounters& counters_of(const plan::HttpListener& listener);  // of the current snapshot
    Scratch& scratch() { return *scratch_; }
    Http1OutputPool& http1_outputs() { return http1_outputs_; }
    [[nodiscard]] Exchange& take_exchange();
    void give_back(Exchange& exchange);  // others may still be in one of its calls: reused after this turn
    std::size_t& kept_head_bytes() { return kept_head_bytes_; }  // of large heads, for a second attempt
    void flush_soon(Flushable& flushable);                       // must live until the turn's end
    UpstreamPool& upstreams() { return *upstreams_; }
    const SnapshotPtr& snapshot() const { return snapshot_; }
    void set_snapshot(SnapshotPtr snapshot);
    bool draining() const { return draining_; }
    std::uint32_t random(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }

    void add_tcp_listener(UniqueFd fd, const std::string& key);
    void add_udp_listener(UniqueFd fd, const std::string& key, const SocketAddress& local);
    void remove_listener(const std::string& key);
    void adopt(std::unique_ptr<Connection> connection);
    void retire(Connection& connection);  // destroyed once it is quiet
    void on_accepted(UniqueFd fd);
    [[nodiscard]] bool trusts(const IpAddress& peer) const;
    [[nodiscard]] bool full() const { return connections_.size() >= connections_max_; }
    std::size_t& udp_flows() { return udp_flows_; }  // open sockets of all UDP listeners
    // Whether the loop has taken a turn since the last call. Any thread, one at a time.
    [[nodiscard]] bool turned();
    void begin_drain(Arrivals arrivals);
    void close_all();

private:
    void run(IoKind kind, std::function<void(Result<void>)> started);
    void run_tasks();
    void flush();
    void free(Exchange& exchange);
    void bury();

    Options options_;
    unsigned index_;
    std::size_t connections_max_;
    std::size_t udp_flows_ = 0;
    IoKind io_ = IoKind::Auto;
    std::minstd_rand random_;
    CounterTable counters_;
    LimitCounters limit_counters_;
    std::unique_ptr<Loop> loop_;
    std::unique_ptr<UpstreamPool> upstreams_;
    SnapshotPtr snapshot_;
    std::unordered_map<const plan::HttpListener*, ListenerCounters*> counters_by_listener_;  // of `snapshot_`
    std::unique_ptr<Scratch> scratch_ = std::make_unique<Scratch>();
    Http1OutputPool http1_outputs_;
    std::size_t kept_head_bytes_ = 0;
    std::vector<std::unique_ptr<Exchange>> exchanges_;  // each at its place
    std::vector<Exchange*> free_exchanges_;
    std::vector<Exchange*> ended_exchanges_;
    std::vector<Flushable*> due_;
    std::map<std::string, std::unique_ptr<Listener>> listeners_;
    std::list<std::unique_ptr<Connection>> connections_;
    std::list<std::unique_ptr<Connection>> retired_;
    std::list<std::unique_ptr<Listener>> retired_listeners_;
    std::atomic<std::uint64_t> open_ = 0;
    std::atomic<bool> has_turned_ = true;
    bool draining_ = false;
    bool stopping_ = false;

    std::mutex tasks_mutex_;
    std::deque<std::function<void()>> tasks_;
    std::thread thread_;
};

}  // namespace sluice::proxy
