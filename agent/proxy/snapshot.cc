// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/snapshot.h"

namespace sluice::proxy {

Snapshot::Snapshot(plan::PlanPtr plan) : plan_(std::move(plan))
{
    const auto add = [&](const std::vector<IpAddress>& addresses, std::uint16_t port, plan::Protocol protocol,
                         const Target& target) {
        for (const IpAddress& address : addresses)
            targets_.emplace(Key{{address, port}, protocol}, target);
        if (addresses.empty())
            targets_.emplace(Key{{IpAddress{}, port}, protocol}, target);
    };
    for (const plan::HttpPort& port : plan_->http) {
        routers_.push_back(Router::make(port));
        add(port.addresses, port.port, plan::Protocol::Tcp, {routers_.back().get(), &port, nullptr});
    }
    for (const plan::L4Listener& listener : plan_->l4)
        add(listener.addresses, listener.port, listener.protocol, {nullptr, nullptr, &listener});
}

Snapshot::Target Snapshot::find(const SocketAddress& local, plan::Protocol protocol) const
{
    if (const auto exact = targets_.find({local, protocol}); exact != targets_.end())
        return exact->second;
    const auto any = targets_.find({{IpAddress{}, local.port}, protocol});
    return any == targets_.end() ? Target{} : any->second;
}

}  // namespace sluice::proxy
