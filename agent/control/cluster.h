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
#include "agent/source/kube/service_writer.h"
#include "agent/source/kube/status_writer.h"

namespace sluice::control {

class Cluster {
public:
    // Errors: the kubeconfig or the pod's account cannot be used. A server that is away is no error: it is waited for.
    [[nodiscard]] static Result<std::unique_ptr<Cluster>> make(const Options& options);
    ~Cluster() { source_->set_on_status(nullptr); }
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    [[nodiscard]] source::Source& source() { return *source_; }
    // The objects and the other nodes were read once.
    [[nodiscard]] bool is_complete() const { return source_->is_complete() && !view().nodes.empty(); }
    // This node serves: it is a member from now on, and may lead. Idempotent.
    void join();
    // Another agent of this node is to be the member: this one looks on. Waits at most two seconds.
    void stand_by();
    // This node serves no more: the others take over at once what is its own. Waits at most four seconds.
    void leave();
    // Has these statuses, sorted by key, written, soon, if we lead. The newest call counts.
    void publish(model::Statuses statuses) { writer_->want(std::move(statuses)); }
    // Has these Services written, soon, if we lead.
    void publish(const std::vector<model::InfrastructureService>& services)
    {
        services_->want(leading_ ? services : std::vector<model::InfrastructureService>{});
    }
    // Tells the other nodes what this one serves.
    void say(model::ServedGateways served) { membership_->say(std::move(served)); }
    // To what the other nodes say.
    void listen(source::Attention attention) { membership_->listen(attention); }

    [[nodiscard]] int change_fd() const { return change_.get(); }  // readable when what follows may have changed
    [[nodiscard]] bool drain_changes();
    [[nodiscard]] bool is_leading() const { return leading_; }  // this node writes, and gives addresses
    // The nodes that serve, this one included; none as long as it is not known. And what the others say, as far as they
    // are listened to.
    [[nodiscard]] source::Membership::View view() const;

private:
    Cluster() = default;
    void set_leading(bool leading);
    void poke() const;

    std::shared_ptr<const source::KubeConfig> config_;
    std::string ns_;
    std::string identity_;  // of this process
    UniqueFd change_;
    std::atomic<bool> leading_ = false;
    mutable std::mutex mutex_;
    source::Membership::View view_;
    // Each uses those above it.
    std::unique_ptr<source::KubeSource> source_;
    std::unique_ptr<source::StatusWriter> writer_;
    std::unique_ptr<source::ServiceWriter> services_;
    std::unique_ptr<source::Membership> membership_;
    std::unique_ptr<source::Leadership> leadership_;  // while joined
};

}  // namespace sluice::control
