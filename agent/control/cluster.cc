// SPDX-License-Identifier: Apache-2.0
#include "agent/control/cluster.h"

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
    cluster->source_ = *std::move(opened);
    cluster->writer_ = std::make_unique<source::StatusWriter>(shared, *cluster->source_, options.controller_name);
    cluster->leadership_ = std::make_unique<source::Leadership>(
        shared, source::LeaseOptions{.ns = options.ns, .name = "sluice-status", .holder = options.node},
        [writer = cluster->writer_.get()](bool leading) { writer->set_leading(leading); });
    return cluster;
}

}  // namespace sluice::control
