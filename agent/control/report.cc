// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "agent/control/state.h"

namespace sluice::control {
namespace {

void add_backends(admin::ListenerReport& report, const std::vector<plan::Backend>& backends)
{
    for (const plan::Backend& backend : backends) {
        if (std::ranges::find(report.backends, backend) == report.backends.end())
            report.backends.push_back(backend);
    }
}

}  // namespace

admin::ListenerReport Control::State::report_l4(const plan::L4Listener& listener) const
{
    admin::ListenerReport out;
    out.name = listener.name;
    for (const IpAddress& address : listener.addresses)
        out.addresses.push_back(address.to_string());
    out.port = listener.port;
    out.protocol = listener.protocol == plan::Protocol::Tcp ? "TCP" : "UDP";
    out.backends = listener.backends;
    out.path = "proxy";
    if (const auto problem = serving.listeners.find(listener.name); problem != serving.listeners.end())
        out.problem = problem->second;
    const auto state = std::ranges::find(l4, listener.name, &apply::L4ListenerState::listener);
    if (state == l4.end())
        return out;
    if (out.problem.empty())
        out.problem = state->relayed;
    if (state->in_kernel) {
        out.path = kernel->has_xdp() ? "xdp" : "tcx";
        for (const std::uint32_t id : state->ids)
            kernel->read_counters(id, out);
    }
    return out;
}

admin::ListenerReport Control::State::report_proxied(const std::string& name, const char* protocol,
                                                     const std::vector<IpAddress>& on, std::uint16_t port) const
{
    admin::ListenerReport report;
    report.name = name;
    for (const IpAddress& address : on)
        report.addresses.push_back(address.to_string());
    report.port = port;
    report.protocol = protocol;
    report.path = "proxy";
    if (const auto problem = serving.listeners.find(name); problem != serving.listeners.end())
        report.problem = problem->second;
    return report;
}

void Control::State::add_http_reports(const plan::HttpPort& port, std::vector<admin::ListenerReport>& out) const
{
    for (const plan::HttpListener& listener : port.listeners) {
        auto report = report_proxied(listener.name, listener.tls ? "HTTPS" : "HTTP", port.addresses, port.port);
        for (const Shared<plan::HttpRule>& rule : listener.rules)
            add_backends(report, rule->backends);
        out.push_back(std::move(report));
    }
}

// A TLS listener has one entry for each of its hosts in the plan, and one report.
void Control::State::add_tls_reports(const plan::TlsPort& port, std::vector<admin::ListenerReport>& out) const
{
    const std::size_t first = out.size();
    for (const plan::TlsHost& host : port.hosts) {
        auto report = std::find_if(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
                                   [&](const admin::ListenerReport& each) { return each.name == host.listener; });
        if (report == out.end())
            report = out.insert(out.end(), report_proxied(host.listener, "TLS", port.addresses, port.port));
        add_backends(*report, host.backends);
    }
}

admin::Report Control::State::report() const
{
    const std::lock_guard lock(mutex);
    admin::Report report;
    report.ready = ready;
    report.generation = generation;
    report.version = SLUICE_VERSION;
    report.io = proxy->io() == proxy::IoKind::IoUring ? "io_uring" : "epoll";
    report.l4 = kernel ? (kernel->has_xdp() ? "xdp" : "tcx") : "proxy";
    report.l4_reason = l4_reason;
    report.workers = proxy->workers();
    report.open_connections = proxy->open_connections();
    report.limit_hits = proxy->limit_hits();
    report.objects = statuses;
    report.problems = problems;
    if (kernel)
        report.attachments = kernel->attachments();
    for (const plan::L4Listener& listener : plan->l4)
        report.listeners.push_back(report_l4(listener));
    for (const plan::HttpPort& port : plan->http)
        add_http_reports(port, report.listeners);
    for (const plan::TlsPort& port : plan->tls)
        add_tls_reports(port, report.listeners);
    for (const proxy::ListenerStats& stats : proxy->stats()) {
        const auto listener = std::ranges::find(report.listeners, stats.listener, &admin::ListenerReport::name);
        if (listener == report.listeners.end())
            continue;
        auto& counters = listener->counters;
        counters["connections"] += stats.connections;
        counters["bytes_in"] += stats.bytes_in;
        counters["bytes_out"] += stats.bytes_out;
        counters["refused"] += stats.refused;
        if (!listener->protocol.starts_with("HTTP"))
            continue;
        counters["requests"] += stats.requests;
        counters["aborted"] += stats.responses[0];
        for (std::size_t hundreds = 1; hundreds < std::size(stats.responses); ++hundreds)
            counters["responses_" + std::to_string(hundreds) + "xx"] += stats.responses[hundreds];
    }
    return report;
}

}  // namespace sluice::control
