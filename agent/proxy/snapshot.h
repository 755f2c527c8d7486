// SPDX-License-Identifier: Apache-2.0
// A plan made ready for the workers: routers compiled, listeners found by (address, port). Immutable and shared; a
// request keeps the one it started with.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/plan/plan.h"
#include "agent/proxy/proxy.h"
#include "agent/proxy/router.h"
#include "agent/proxy/tls_contexts.h"

namespace sluice::proxy {

class Snapshot {
public:
    // `contexts` is used during the call alone.
    Snapshot(plan::PlanPtr plan, TlsContexts& contexts);

    struct Target {
        const Router* http = nullptr;  // with http_port
        const plan::HttpPort* http_port = nullptr;
        std::shared_ptr<const TlsServerContext> tls;  // of an http_port with TLS; none: it can serve none of its hosts
        const plan::TlsPort* tls_port = nullptr;      // perhaps beside such an http_port
        const plan::L4Listener* l4 = nullptr;
    };
    // The listener of a TCP or UDP connection to `local`; its own address wins over "every address".
    [[nodiscard]] const Target& find(const SocketAddress& local, plan::Protocol protocol) const;
    // Of a host that ends TLS; none: its certificates are of no use.
    [[nodiscard]] std::shared_ptr<const TlsServerContext> tls_of(const plan::TlsHost& host) const;
    // Of a backend with TLS, for HTTP; none: it cannot be spoken to.
    [[nodiscard]] std::shared_ptr<const TlsClientContext> tls_of(const plan::Backend& backend) const;
    // The same for the decrypted bytes of a host that ends TLS: no protocol is offered.
    [[nodiscard]] std::shared_ptr<const TlsClientContext> relay_tls_of(const plan::Backend& backend) const;
    [[nodiscard]] const std::vector<ListenProblem>& problems() const { return problems_; }
    [[nodiscard]] const plan::Plan& plan() const { return *plan_; }

private:
    struct Key {
        SocketAddress address;
        plan::Protocol protocol;
        bool operator==(const Key&) const = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const
        {
            return SocketAddressHash{}(key.address) ^ static_cast<std::size_t>(key.protocol);
        }
    };
    plan::PlanPtr plan_;
    std::vector<std::unique_ptr<Router>> routers_;
    [[nodiscard]] std::shared_ptr<const TlsServerContext> tls_for(const plan::HttpPort& port, TlsContexts& contexts);
    void add_tls_host(const plan::TlsHost& host, TlsContexts& contexts);
    void add_refused(const std::string& listener, const std::string& hostname, const TlsServerContext& context);
    // What a client context is made of: the protocol is offered in the handshake, none where bytes are relayed.
    using TlsBackend = std::pair<const plan::BackendTls*, std::optional<plan::AppProtocol>>;
    void add_backend(const plan::Backend& backend, const TlsBackend& key, TlsContexts& contexts,
                     const std::string& listener);
    [[nodiscard]] std::shared_ptr<const TlsClientContext> find_backend(const TlsBackend& key) const;
    std::unordered_map<Key, Target, KeyHash> targets_;
    Target none_;
    std::unordered_map<const plan::TlsHost*, std::shared_ptr<const TlsServerContext>> tls_hosts_;
    std::map<TlsBackend, std::shared_ptr<const TlsClientContext>> tls_backends_;
    std::vector<ListenProblem> problems_;
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace sluice::proxy
