// SPDX-License-Identifier: Apache-2.0
#include "agent/control/kernel_path.h"

#include <algorithm>

namespace sluice::control {

Result<std::unique_ptr<KernelPath>> KernelPath::make(const Options& options, loader::Network& network)
{
    std::unique_ptr<KernelPath> path(new KernelPath());
    auto dataplane = loader::Dataplane::open(
        {.bpffs = options.bpffs, .allow_xdp = options.l4 != L4Mode::Tcx, .require_xdp = options.l4 == L4Mode::Xdp});
    if (!dataplane)
        return std::unexpected(dataplane.error());
    path->dataplane_ = *std::move(dataplane);
    auto applier = apply::Applier::make(path->dataplane_->tables(), network,
                                        [raw = path.get()](const std::vector<unsigned>& links) {
                                            return raw->dataplane_->attach(raw->uplinks_, links);
                                        });
    if (!applier)
        return std::unexpected(applier.error());
    path->applier_.emplace(*std::move(applier));
    return path;
}

Result<apply::Outcome> KernelPath::apply(const plan::Plan& plan, const apply::Facts& facts)
{
    uplinks_ = facts.uplinks;
    return applier_->apply(plan, facts);
}

std::vector<admin::Attachment> KernelPath::attachments() const
{
    std::vector<admin::Attachment> result;
    for (const loader::Attachment& attachment : dataplane_->attachments()) {
        const char* hook = attachment.hook == loader::Hook::Xdp   ? "xdp"
                           : attachment.hook == loader::Hook::Tcx ? "tcx"
                                                                  : "sk_lookup";
        result.push_back({hook, attachment.interface, attachment.program});
    }
    return result;
}

bool KernelPath::has_xdp() const
{
    return std::ranges::any_of(dataplane_->attachments(),
                               [](const loader::Attachment& a) { return a.hook == loader::Hook::Xdp; });
}

void KernelPath::read_counters(std::uint32_t listener_id, admin::ListenerReport& out) const
{
    const maps::Counters& counters = dataplane_->tables().counters;
    if (const auto sums = counters.listener(listener_id)) {
        out.counters["packets_in"] += sums->packets_in;
        out.counters["bytes_in"] += sums->bytes_in;
        out.counters["packets_out"] += sums->packets_out;
        out.counters["bytes_out"] += sums->bytes_out;
        out.counters["connections"] += sums->connections;
    }
    const auto reasons = counters.reasons(listener_id);
    for (std::uint32_t reason = 0; reasons && reason < reasons->size(); ++reason) {
        if ((*reasons)[reason] != 0)
            out.reasons[maps::reason_name(reason)] += (*reasons)[reason];
    }
}

Result<std::vector<unsigned>> find_uplinks(const std::vector<std::string>& names, loader::Network& network)
{
    if (names.empty())
        return network.default_uplinks();
    const auto links = network.links();
    if (!links)
        return std::unexpected(links.error());
    std::vector<unsigned> found;
    for (const std::string& name : names) {
        const auto link = std::ranges::find(*links, name, &loader::Link::name);
        if (link == links->end())
            return fail(ENODEV, "--uplink", name);
        found.push_back(link->ifindex);
    }
    return found;
}

}  // namespace sluice::control
