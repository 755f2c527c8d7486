// SPDX-License-Identifier: Apache-2.0
// The TLS contexts that a plan asks for. One that the plan before had, with equal content, is kept: its sessions can be
// resumed, and nothing is parsed again. For the control thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/plan/plan.h"
#include "agent/proxy/tls_context.h"
#include "agent/proxy/tls_tickets.h"

namespace sluice::proxy {

class TlsContexts {
public:
    TlsContexts() : tickets_(std::make_shared<TlsTicketKeys>()) {}

    // What is wrong with single hosts stands in the context, one that was kept included: TlsServerContext::refused.
    using Server = std::shared_ptr<const TlsServerContext>;
    [[nodiscard]] Result<Server> of(const plan::HttpPort& port);
    [[nodiscard]] Result<Server> of(const plan::TlsHost& host);  // which must have a termination
    // `protocol` is what the handshake offers; none: nothing, for bytes of which it is not known what they are. Errors
    // name the certificate.
    using Client = std::shared_ptr<const TlsClientContext>;
    [[nodiscard]] Result<Client> of(const plan::BackendTls& backend, std::optional<plan::AppProtocol> protocol);

    // Forgets what nothing uses any more, and renews the ticket keys when their time has come. `now_ms` is on a clock
    // that never goes back.
    void sweep(std::uint64_t now_ms);

private:
    [[nodiscard]] Result<Server> server(const TlsServerOptions& options);
    std::shared_ptr<TlsTicketKeys> tickets_;
    std::uint64_t rotated_ms_ = 0;
    std::map<std::string, Server> servers_;  // by everything that makes them up
    std::map<std::string, Client> clients_;
};

}  // namespace sluice::proxy
