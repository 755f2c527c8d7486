// SPDX-License-Identifier: Apache-2.0
// The page that `sluice status` prints.
#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "agent/admin/report.h"

namespace sluice::admin {
namespace {

using nlohmann::json;
using Out = std::back_insert_iterator<std::string>;

std::string join(const json& texts, const char* separator)
{
    std::string joined;
    for (const json& text : texts)
        joined += (joined.empty() ? "" : separator) + text.get<std::string>();
    return joined;
}

void print_listener(Out out, const json& listener)
{
    const json& counters = listener.at("counters");
    const std::string addresses = join(listener.at("addresses"), ", ");
    fmt::format_to(out, "  {} {}:{} path {}", listener.at("name").get<std::string>(),
                   listener.at("protocol").get<std::string>(), listener.at("port").get<unsigned>(),
                   listener.at("path").get<std::string>());
    fmt::format_to(out, " on {}\n", addresses.empty() ? "every node address" : addresses);
    if (const auto problem = listener.at("problem").get<std::string>(); !problem.empty())
        fmt::format_to(out, "    problem: {}\n", problem);
    for (const json& backend : listener.at("backends")) {
        const std::string reason = backend.at("reason").get<std::string>();
        fmt::format_to(out, "    backend {} weight {} -> {}\n", backend.at("name").get<std::string>(),
                       backend.at("weight").get<unsigned>(),
                       reason.empty() ? join(backend.at("endpoints"), ", ") : "refused: " + reason);
    }
    std::string line;
    for (const auto& [name, count] : counters.items()) {
        if (count.is_number() && count.get<std::uint64_t>() != 0)
            line += fmt::format(" {} {}", name, count.get<std::uint64_t>());
    }
    for (const auto& [name, count] : counters.at("reasons").items())
        line += fmt::format(" {} {}", name, count.get<std::uint64_t>());
    if (!line.empty())
        fmt::format_to(out, "    counters:{}\n", line);
}

void print_conditions(Out out, const json& conditions, const std::string& indent)
{
    for (const json& condition : conditions) {
        fmt::format_to(out, "{}{}={} ({})", indent, condition.at("type").get<std::string>(),
                       condition.at("status").get<std::string>(), condition.at("reason").get<std::string>());
        if (const auto message = condition.at("message").get<std::string>(); !message.empty())
            fmt::format_to(out, ": {}", message);
        fmt::format_to(out, "\n");
    }
}

void print_object(Out out, const json& object)
{
    const std::string ns = object.at("namespace").get<std::string>();
    fmt::format_to(out, "  {} {}{}\n", object.at("kind").get<std::string>(), ns.empty() ? "" : ns + "/",
                   object.at("name").get<std::string>());
    print_conditions(out, object.value("conditions", json::array()), "    ");
    for (const json& listener : object.value("listeners", json::array())) {
        fmt::format_to(out, "    listener {}: {} routes\n", listener.at("name").get<std::string>(),
                       listener.at("attachedRoutes").get<unsigned>());
        print_conditions(out, listener.at("conditions"), "      ");
    }
    for (const json& parent : object.value("parents", json::array())) {
        const json& ref = parent.at("parentRef");
        fmt::format_to(out, "    parent {}/{} {}\n", ref.value("namespace", ""), ref.at("name").get<std::string>(),
                       ref.value("sectionName", ""));
        print_conditions(out, parent.at("conditions"), "      ");
    }
    for (const json& ancestor : object.value("ancestors", json::array())) {
        const json& ref = ancestor.at("ancestorRef");
        fmt::format_to(out, "    ancestor {}/{}\n", ref.value("namespace", ""), ref.at("name").get<std::string>());
        print_conditions(out, ancestor.at("conditions"), "      ");
    }
}

std::string render(const json& report)
{
    std::string text;
    const Out out = std::back_inserter(text);
    const auto l4_reason = report.at("l4Reason").get<std::string>();
    fmt::format_to(out, "sluice {} {}: generation {}, TCP and UDP by {}{}, proxy {} workers on {}, {} connections\n",
                   report.at("version").get<std::string>(), report.at("ready").get<bool>() ? "ready" : "starting",
                   report.at("generation").get<std::uint64_t>(), report.at("l4").get<std::string>(),
                   l4_reason.empty() ? "" : " (" + l4_reason + ")", report.at("workers").get<unsigned>(),
                   report.at("io").get<std::string>(), report.at("openConnections").get<std::uint64_t>());
    for (const auto& [limit, hits] : report.at("limitHits").items()) {
        if (hits.get<std::uint64_t>() != 0)
            fmt::format_to(out, "  stopped at the limit {}: {} times\n", limit, hits.get<std::uint64_t>());
    }
    fmt::format_to(out, "\nListeners\n");
    for (const json& listener : report.at("listeners"))
        print_listener(out, listener);
    fmt::format_to(out, "\nObjects\n");
    for (const json& object : report.at("objects"))
        print_object(out, object);
    fmt::format_to(out, "\nKernel programs\n");
    for (const json& attachment : report.at("attachments"))
        fmt::format_to(out, "  {} {} {}\n", attachment.at("hook").get<std::string>(),
                       attachment.at("program").get<std::string>(), attachment.at("interface").get<std::string>());
    if (!report.at("problems").empty())
        fmt::format_to(out, "\nProblems\n");
    for (const json& problem : report.at("problems"))
        fmt::format_to(
            out, "  {}\n",
            source::to_string(source::Problem{
                problem.at("fatal").get<bool>(), problem.at("file").get<std::string>(), problem.at("line").get<int>(),
                problem.at("object").get<std::string>(), problem.at("field").get<std::string>(),
                problem.at("value").get<std::string>(), problem.at("message").get<std::string>()}));
    return text;
}

}  // namespace

Result<std::string> to_text(const std::string& text)
{
    try {
        return render(json::parse(text));
    } catch (const json::exception& error) {
        return fail(0, "reading the agent's status", error.what());
    }
}

}  // namespace sluice::admin
