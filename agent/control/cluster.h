// SPDX-License-Identifier: Apache-2.0
// The agent as a member of a cluster: its objects come from the API server, and what became of them is written back
// there. Used by the control thread; what takes time happens on threads of its own.
#pragma once

#include <memory>
#include <vector>

#include "agent/control/options.h"
#include "agent/model/status.h"
#include "agent/source/kube/kube_source.h"
#include "agent/source/kube/lease.h"
#include "agent/source/kube/status_writer.h"

namespace sluice::control {

class Cluster {
public:
    // Errors: the kubeconfig or the pod's account cannot be used. A server that is away is no error: it is waited for.
    [[nodiscard]] static Result<std::unique_ptr<Cluster>> make(const Options& options);

    [[nodiscard]] source::Source& source() { return *source_; }
    // Has these statuses written, soon. The newest call counts.
    void publish(const std::vector<model::ObjectStatus>& statuses) { writer_->want(statuses); }

private:
    Cluster() = default;
    // Each uses those above it.
    std::unique_ptr<source::KubeSource> source_;
    std::unique_ptr<source::StatusWriter> writer_;
    std::unique_ptr<source::Leadership> leadership_;
};

}  // namespace sluice::control
