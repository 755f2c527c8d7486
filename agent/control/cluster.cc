// SPDX-License-Identifier: Apache-2.0
#include "agent/control/cluster.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::control {

Result<std::unique_ptr<Cluster>> Cluster::make(const Options& options)
{
    auto config = options.in_cluster ? source::KubeConfig::in_cluster() : source::KubeConfig::load(options.kubeconfig);
    if (!config)
        return std::unexpected(config.error());
    const auto shared = std::make_shared<const source::KubeConfig>(*std::move(config));
    auto opened = source::KubeSource::make(shared);
    if (!opened)
        return std::unexpected(opened.error());
    std::unique_ptr<Cluster> cluster(new Cluster());
    cluster->change_.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!cluster->change_.valid())
        return fail(errno, "eventfd", "cluster");
    cluster->source_ = *std::move(opened);
    cluster->writer_ = std::make_unique<source::StatusWriter>(shared, *cluster->source_, options.controller_name);
    cluster->leadership_ = std::make_unique<source::Leadership>(
        shared, source::LeaseOptions{.ns = options.ns, .name = "sluice-status", .holder = options.node},
        [self = cluster.get()](bool leading) {
            self->leading_ = leading;
            self->writer_->set_leading(leading);
            self->poke();
        });
    cluster->membership_ = std::make_unique<source::Membership>(
        shared, options.ns, options.node, [self = cluster.get()](std::vector<std::string> members) {
            {
                const std::lock_guard lock(self->mutex_);
                self->members_ = std::move(members);
            }
            self->poke();
        });
    return cluster;
}

std::vector<std::string> Cluster::members() const
{
    const std::lock_guard lock(mutex_);
    return members_;
}

void Cluster::poke() const
{
    constexpr std::uint64_t kOnce = 1;
    [[maybe_unused]] const ssize_t count = ::write(change_.get(), &kOnce, sizeof kOnce);
}

bool Cluster::drain_changes()
{
    std::uint64_t times = 0;
    return ::read(change_.get(), &times, sizeof times) > 0;
}

}  // namespace sluice::control
