// SPDX-License-Identifier: Apache-2.0
#include "agent/control/cluster.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <random>

namespace sluice::control {

Result<std::unique_ptr<Cluster>> Cluster::make(const Options& options)
{
    auto config = options.in_cluster ? source::KubeConfig::in_cluster() : source::KubeConfig::load(options.kubeconfig);
    if (!config)
        return std::unexpected(config.error());
    const auto shared = std::make_shared<const source::KubeConfig>(*std::move(config));
    auto opened = source::KubeSource::make(shared, options.controller_name);
    if (!opened)
        return std::unexpected(opened.error());
    std::unique_ptr<Cluster> cluster(new Cluster());
    cluster->config_ = shared;
    cluster->ns_ = options.ns;
    cluster->identity_ = options.node + "_" + fmt::format("{:08x}", std::random_device{}());
    cluster->change_.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!cluster->change_.valid())
        return fail(errno, "eventfd", "cluster");
    cluster->source_ = *std::move(opened);
    cluster->writer_ = std::make_unique<source::StatusWriter>(shared, *cluster->source_, options.controller_name);
    cluster->source_->set_on_status([writer = cluster->writer_.get()](const auto& key, source::StatusChange change) {
        change == source::StatusChange::Alone ? writer->look_at(key) : writer->forget(key);
    });
    cluster->services_ = std::make_unique<source::ServiceWriter>(shared, *cluster->source_);
    cluster->membership_ = std::make_unique<source::Membership>(shared, options.ns, options.node,
                                                                [self = cluster.get()](source::Membership::View view) {
                                                                    {
                                                                        const std::lock_guard lock(self->mutex_);
                                                                        self->view_ = std::move(view);
                                                                    }
                                                                    self->poke();
                                                                });
    return cluster;
}

void Cluster::join()
{
    if (leadership_)
        return;
    membership_->join();
    leadership_ = std::make_unique<source::Leadership>(
        config_, source::LeaseOptions{.ns = ns_, .name = "sluice-status", .holder = identity_},
        [this](bool leading) { set_leading(leading); });
}

void Cluster::stand_by()
{
    membership_->hand_over();
    leadership_.reset();
    set_leading(false);
}

void Cluster::leave()
{
    membership_->leave();
    leadership_.reset();
    set_leading(false);
}

void Cluster::set_leading(bool leading)
{
    leading_ = leading;
    writer_->set_leading(leading);
    poke();
}

source::Membership::View Cluster::view() const
{
    const std::lock_guard lock(mutex_);
    return view_;
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
