// SPDX-License-Identifier: Apache-2.0
#include "agent/apply/reach.h"

#include <algorithm>

namespace sluice::apply {
namespace {

bool leads_into_pod(const loader::Link& link)
{
    return (link.kind == "veth" || link.kind == "netkit") && link.leads_out;
}

// A virtual machine's tap counts on a bridge alone: one with a route of its own may be a VPN's. A bridge with any other
// port leads to a network, whose hosts need not answer through this node.
bool leads_to_pods(const loader::Link& link, const std::vector<loader::Link>& links)
{
    if (link.kind != "bridge")
        return leads_into_pod(link);
    return std::ranges::all_of(links, [&](const loader::Link& port) {
        return port.master != link.ifindex || leads_into_pod(port) || port.kind == "tun";
    });
}

}  // namespace

Reach reach_by(const loader::Route& route, const std::vector<loader::Link>& links, const std::vector<unsigned>& uplinks)
{
    Reach reach{.kind = Reach::Kind::Remote, .ifindex = route.ifindex, .source = route.source};
    const auto link = std::ranges::find(links, route.ifindex, &loader::Link::ifindex);
    if (route.local)
        reach.kind = Reach::Kind::Self;
    else if (link == links.end())
        reach.ifindex = 0;  // it came or went just now
    else if (!link->ethernet)
        reach.kind = Reach::Kind::Raw;
    else if (!route.gateway && std::ranges::find(uplinks, route.ifindex) == uplinks.end() &&
             leads_to_pods(*link, links))
        reach.kind = Reach::Kind::Local;
    return reach;
}

}  // namespace sluice::apply
