// SPDX-License-Identifier: Apache-2.0
// The kernel half of a node: programs, tables and attachments together. Used by the control thread; `counters` may
// be read from other threads.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/admin/report.h"
#include "agent/apply/apply.h"
#include "agent/control/options.h"
#include "loader/dataplane.h"
#include "loader/network.h"

namespace sluice::control {

class KernelPath {
public:
    // Opens or adopts the dataplane. `network` must outlive it.
    [[nodiscard]] static Result<std::unique_ptr<KernelPath>> make(const Options& options, loader::Network& network);
    // Hands the proxy's new connections to this listening socket, whoever had them before.
    [[nodiscard]] Result<void> steer(int tcp_listen_fd) { return dataplane_->steer(tcp_listen_fd); }

    [[nodiscard]] Result<apply::Outcome> apply(const plan::Plan& plan, const apply::Facts& facts);
    [[nodiscard]] Result<std::size_t> collect_garbage() { return applier_->collect_garbage(); }
    [[nodiscard]] std::vector<admin::Attachment> attachments() const;
    [[nodiscard]] bool has_xdp() const;
    void read_counters(std::uint32_t listener_id, admin::ListenerReport& out) const;
    [[nodiscard]] Result<void> remove() { return dataplane_->remove(); }

private:
    KernelPath() = default;
    std::unique_ptr<loader::Dataplane> dataplane_;
    std::vector<unsigned> uplinks_;
    std::optional<apply::Applier> applier_;
};

// The uplinks by the names the user gave, or the links with a default route. Errors name a link that does not exist.
[[nodiscard]] Result<std::vector<unsigned>> find_uplinks(const std::vector<std::string>& names,
                                                         loader::Network& network);

}  // namespace sluice::control
