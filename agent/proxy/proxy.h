// SPDX-License-Identifier: Apache-2.0
// The proxy as the rest of the agent sees it: worker threads, one event loop each, that serve HTTP and relay
// TCP and UDP by an immutable plan. All methods are for the control thread; workers share nothing with it but the
// plan's pointer, their counters and a wake-up.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/plan/plan.h"
#include "base/ip_prefix.h"
#include "base/result.h"

namespace sluice::proxy {

enum class IoKind { Auto, IoUring, Epoll };

struct Limits {                                  // defaults are those for an edge; see docs/limits.md
    std::uint32_t header_bytes_max = 32 * 1024;  // request or response head
    std::uint32_t header_count_max = 100;
    std::uint32_t request_line_bytes_max = 8 * 1024;
    std::uint32_t header_timeout_ms = 10'000;        // first byte of a request to the end of its head
    std::uint32_t idle_timeout_ms = 60'000;          // keep-alive, no request under way
    std::uint32_t stream_idle_timeout_ms = 300'000;  // a request or relay under way that moves no byte
    std::uint32_t connect_timeout_ms = 5'000;
    std::uint32_t upstream_idle_timeout_ms = 30'000;  // pooled connection to a backend
    std::uint32_t connections_max = 8'000;            // client connections per process; beyond it accept waits
    // To backends, per worker; a request that needs one more than are in use is answered 503. A client of HTTP/2 can
    // ask for one a stream.
    std::uint32_t upstream_connections_max = 4'000;
    std::uint32_t pooled_per_endpoint_max = 512;  // idle upstream connections per worker and endpoint
    std::uint32_t pooled_per_worker_max = 1'024;  // over all endpoints: descriptors are few
    std::uint32_t udp_flows_max = 4'096;          // relayed UDP clients per worker
    std::uint32_t udp_idle_timeout_ms = 60'000;
};

struct Options {
    IoKind io = IoKind::Auto;  // Auto: epoll, which costs no more (docs/performance.md)
    unsigned workers = 0;      // 0: one per CPU this process may run on
    Limits limits;
    std::vector<IpPrefix> trusted_proxies;  // whose X-Forwarded-* fields are believed and added to
};

// Where the proxy's TCP traffic comes from.
enum class Ingress {
    Steered,  // sk_lookup hands every (address, port) to `steered_tcp_fd`: no bind per listener
    Bound,    // without BPF: a listening socket per listener and address
};

struct ListenerStats {
    std::string listener;  // name as in the plan
    std::uint64_t connections = 0;
    std::uint64_t requests = 0;  // HTTP
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t responses[6] = {};  // [1]..[5]: 1xx..5xx; [0]: aborted without a response
    std::uint64_t refused = 0;        // bad requests, connects that failed, refused weight shares
};

// What becomes of those who come in a drain.
enum class Arrivals {
    Refused,  // listening sockets are closed, and connections without a request under way
    // A successor gets the new ones: what was on its way here, and requests on kept connections, are still served.
    Served,
};

// A listener that the proxy could not open: its status says so, the others serve.
struct ListenProblem {
    std::string listener;
    std::string message;
};

class Proxy {
public:
    [[nodiscard]] static Result<std::unique_ptr<Proxy>> make(const Options& options);
    ~Proxy();  // ends the workers at once
    Proxy(const Proxy&) = delete;
    Proxy& operator=(const Proxy&) = delete;

    [[nodiscard]] IoKind io() const;  // IoUring or Epoll, never Auto
    [[nodiscard]] unsigned workers() const;
    // A member of the SO_REUSEPORT group of the workers' dual-stack listening sockets on an ephemeral port.
    [[nodiscard]] int steered_tcp_fd() const;

    // Hands the plan to every worker and returns when all of them serve by it. Connections and requests under way
    // keep the plan they started with. UDP listeners (and with Ingress::Bound TCP and HTTP ones) are bound and
    // unbound here; what could not be bound is returned, and tried again at the next call. `taken`: listeners of the
    // plan for which nothing is bound, since others have their ports; with the reason.
    [[nodiscard]] std::vector<ListenProblem> publish(plan::PlanPtr plan, Ingress ingress,
                                                     const std::map<std::string, std::string>& taken = {});

    // Renews the keys of TLS tickets when their time has come, and forgets TLS contexts that nothing uses. Is to be
    // called every now and then (seconds), whether plans are published or not.
    void tend();

    [[nodiscard]] std::vector<ListenerStats> stats() const;
    [[nodiscard]] std::uint64_t open_connections() const;
    // How often a peer was stopped at each of the limits (docs/limits.md), by their names.
    [[nodiscard]] std::map<std::string, std::uint64_t> limit_hits() const;

    // Whether every worker has taken a turn since the last call. Any thread, one at a time.
    [[nodiscard]] bool turned();

    // Answers with `Connection: close`, waits until nothing is under way or the deadline is over. Returns the number of
    // connections that were cut.
    std::uint64_t drain(std::uint32_t deadline_ms, Arrivals arrivals);

private:
    struct State;
    explicit Proxy(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::proxy
