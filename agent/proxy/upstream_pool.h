// SPDX-License-Identifier: Apache-2.0
// Connections to backends: one pool a worker, keyed by endpoint and protocol, the most recently used first. An idle
// connection keeps a receive pending, so that a backend that closes it is noticed at once.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "agent/plan/plan.h"
#include "agent/proxy/tls_context.h"
#include "agent/proxy/upstream.h"

namespace sluice::proxy {

class Http1Upstream;
class Http2Upstream;
class UpstreamConnection;
class Worker;

class UpstreamPool {
public:
    // The connections to one address by one protocol.
    struct Key {
        SocketAddress address;
        plan::AppProtocol protocol = plan::AppProtocol::Http1;
        const TlsClientContext* tls = nullptr;  // none: plain
        bool operator==(const Key&) const = default;
    };
    struct Endpoint {
        Key key;
        std::shared_ptr<const TlsClientContext> tls;  // of `key`
        std::vector<Http1Upstream*> idle;
        std::vector<Http2Upstream*> http2;
        std::uint32_t connections = 0;     // also those that end
        std::uint32_t in_flight = 0;       // requests
        std::uint64_t avoid_until_ms = 0;  // a connect failed
    };

    // Where a request goes, and how it is spoken to.
    struct Target {
        SocketAddress address;
        plan::AppProtocol protocol = plan::AppProtocol::Http1;
        std::shared_ptr<const TlsClientContext> tls;  // none: plain
        [[nodiscard]] Key key() const { return {address, protocol, tls.get()}; }
    };

    explicit UpstreamPool(Worker& worker);
    ~UpstreamPool();

    // A way to `address`: over a connection that is there (`ready` at once), or over a new one, of which `user` hears.
    // `fresh` asks for a new one. nullptr: there are as many as may be, or no descriptor could be had.
    [[nodiscard]] Upstream* acquire(const Target& target, UpstreamUser& user, bool fresh);
    // How much it has to do, for a choice between two: requests under way, the most there is while it is avoided.
    [[nodiscard]] std::uint32_t load(const Key& key) const;
    // A connect failed there: others of the backend are preferred for a while.
    void avoid(const Target& target);

    // From the connections:
    [[nodiscard]] bool put_idle(Http1Upstream& upstream, Endpoint& endpoint);  // false: there are enough
    void take_idle(Http1Upstream& upstream, Endpoint& endpoint);
    void discard(UpstreamConnection& connection);

    void bury();   // after each turn: frees what has ended
    void sweep();  // forgets endpoints without a connection
    [[nodiscard]] std::size_t size() const { return connections_.size(); }

private:
    struct KeyHash {
        std::size_t operator()(const Key& key) const;
    };
    [[nodiscard]] Upstream* acquire_http1(Endpoint& endpoint, UpstreamUser& user, bool fresh);
    [[nodiscard]] Upstream* acquire_http2(Endpoint& endpoint, UpstreamUser& user, bool fresh);
    // A new connection that begins to connect; nullptr as above.
    template <class Kind> [[nodiscard]] Kind* open(Endpoint& endpoint);
    Endpoint& endpoint_of(const Target& target);
    bool discard_unused();  // makes room for another; false: all are in use

    Worker* worker_;
    std::unordered_map<Key, Endpoint, KeyHash> endpoints_;
    std::list<std::unique_ptr<UpstreamConnection>> connections_;
    std::list<std::unique_ptr<UpstreamConnection>> ended_;
    std::size_t idle_ = 0;  // of all endpoints
};

}  // namespace sluice::proxy
