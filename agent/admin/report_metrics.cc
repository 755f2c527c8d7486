// SPDX-License-Identifier: Apache-2.0
// Prometheus text: one series a listener and counter, never one a route or a client.
#include <fmt/format.h>

#include <iterator>
#include <set>

#include "agent/admin/report.h"

namespace sluice::admin {
namespace {

std::string label_value(const std::string& text)
{
    std::string escaped;
    for (const char c : text) {
        if (c == '\\' || c == '"')
            escaped += '\\';
        escaped += c == '\n' ? ' ' : c;
    }
    return escaped;
}

std::string labels(const ListenerReport& listener)
{
    return fmt::format("listener=\"{}\",protocol=\"{}\",path=\"{}\"", label_value(listener.name), listener.protocol,
                       listener.path);
}

}  // namespace

std::string to_metrics(const Report& report)
{
    std::string text;
    const auto out = std::back_inserter(text);
    fmt::format_to(out, "# TYPE sluice_info gauge\nsluice_info{{version=\"{}\",io=\"{}\",l4=\"{}\"}} 1\n",
                   report.version, report.io, report.l4);
    fmt::format_to(out, "# TYPE sluice_ready gauge\nsluice_ready {}\n", report.ready ? 1 : 0);
    fmt::format_to(out, "# TYPE sluice_plan_generation gauge\nsluice_plan_generation {}\n", report.generation);
    fmt::format_to(out, "# TYPE sluice_open_connections gauge\nsluice_open_connections {}\n", report.open_connections);
    fmt::format_to(out, "# TYPE sluice_manifest_problems gauge\nsluice_manifest_problems {}\n", report.problems.size());
    fmt::format_to(out, "# TYPE sluice_limit_hits_total counter\n");
    for (const auto& [name, count] : report.limit_hits)
        fmt::format_to(out, "sluice_limit_hits_total{{limit=\"{}\"}} {}\n", name, count);
    std::set<std::string> names;
    for (const ListenerReport& listener : report.listeners) {
        for (const auto& [name, count] : listener.counters)
            names.insert(name);
    }
    for (const std::string& name : names) {
        fmt::format_to(out, "# TYPE sluice_listener_{}_total counter\n", name);
        for (const ListenerReport& listener : report.listeners) {
            if (const auto found = listener.counters.find(name); found != listener.counters.end())
                fmt::format_to(out, "sluice_listener_{}_total{{{}}} {}\n", name, labels(listener), found->second);
        }
    }
    fmt::format_to(out, "# TYPE sluice_listener_slow_path_total counter\n");
    for (const ListenerReport& listener : report.listeners) {
        for (const auto& [reason, count] : listener.reasons)
            fmt::format_to(out, "sluice_listener_slow_path_total{{{},reason=\"{}\"}} {}\n", labels(listener), reason,
                           count);
    }
    return text;
}

}  // namespace sluice::admin
