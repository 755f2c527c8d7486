// SPDX-License-Identifier: Apache-2.0
// The agent as a member of a cluster: its objects come from the API server, and what became of them is written back
// there. Used by the control thread; what takes time happens on threads of its own.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/control/options.h"
#include "agent/model/status.h"
#include "agent/source/kube/kube_source.h"
#include "agent/source/kube/lease.h"
#include "agent/source/kube/membership.h"
#include "agent/source/kube/status_writer.h"

namespace sluice::control {

class Cluster {
public:
    // Errors: the kubeconfig or the pod's account cannot be used. A server that is away is no error: it is waited for.
    [[nodiscard]] static Result<std::unique_ptr<Cluster>> make(const Options& options);

    [[nodiscard]] source::Source& source() { return *source_; }
    // Has these statuses written, soon. The newest call counts.
    void publish(const std::vector<model::ObjectStatus>& statuses) { writer_->want(statuses); }

    [[nodiscard]] int change_fd() const { return change_.get(); }  // readable when what follows may have changed
    [[nodiscard]] bool drain_changes();
    [[nodiscard]] bool is_leading() const { return leading_; }  // this node writes, and gives addresses
    // The nodes that serve, this one included; sorted. None as long as it is not known.
    [[nodiscard]] std::vector<std::string> members() const;

private:
    Cluster() = default;
    void poke() const;

    UniqueFd change_;
    std::atomic<bool> leading_ = false;
    mutable std::mutex mutex_;
    std::vector<std::string> members_;
    // Each uses those above it.
    std::unique_ptr<source::KubeSource> source_;
    std::unique_ptr<source::StatusWriter> writer_;
    std::unique_ptr<source::Leadership> leadership_;
    std::unique_ptr<source::Membership> membership_;
};

}  // namespace sluice::control
