// SPDX-License-Identifier: Apache-2.0
// The command: options, signals, and the order of start and stop. What it starts is in agent/control.
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>

#include "agent/admin/server.h"
#include "agent/control/control.h"
#include "agent/source/files.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace {

using namespace sluice;

int report_error(const Error& error)
{
    std::fprintf(stderr, "sluice: %s\n", to_string(error).c_str());
    return 1;
}

// Most processes begin with 1,024 descriptors and may have more; nothing here uses select(2), for which that is kept
// low. Bounded, for programs that are run from here and close all that they might have.
void raise_descriptor_limit()
{
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = std::max(limit.rlim_cur, std::min<rlim_t>(limit.rlim_max, 1U << 20U));
    setrlimit(RLIMIT_NOFILE, &limit);
}

int run(const control::Options& options, const std::string& log_level)
{
    if (auto ready = set_up_log(log_level); !ready)
        return report_error(ready.error());
    sigset_t stop_signals;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    sigprocmask(SIG_BLOCK, &stop_signals, nullptr);  // before the first thread: all of them inherit it
    std::signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    const UniqueFd stop(signalfd(-1, &stop_signals, SFD_CLOEXEC));
    auto control = control::Control::make(options);
    if (!control)
        return report_error(control.error());
    if (auto served = (*control)->run(stop.get()); !served)
        return report_error(served.error());
    return 0;
}

std::string read_standard_input()
{
    std::string text(64U << 20, '\0');  // more than `kubectl get` prints of a large cluster
    std::size_t size = 0;
    while (size < text.size()) {
        const std::size_t count = std::fread(text.data() + size, 1, text.size() - size, stdin);
        if (count == 0)
            break;
        size += count;
    }
    text.resize(size);
    return text;
}

int check(const std::vector<std::string>& paths)
{
    const bool is_stream = paths.size() == 1 && paths.front() == "-";
    const source::Snapshot snapshot =
        is_stream ? source::read_text(read_standard_input(), "-") : source::read_manifests(paths);
    bool refused = false;
    for (const source::Problem& problem : snapshot.problems) {
        std::printf("%s%s\n", problem.fatal ? "" : "note: ", source::to_string(problem).c_str());
        refused = refused || problem.fatal;
    }
    const model::Objects& objects = snapshot.objects;
    std::printf("%zu files: %zu Gateways, %zu HTTPRoutes, %zu GRPCRoutes, %zu TLSRoutes, %zu TCPRoutes, %zu UDPRoutes "
                "accepted\n",
                snapshot.files, objects.gateways.size(), objects.http_routes.size(), objects.grpc_routes.size(),
                objects.tls_routes.size(), objects.tcp_routes.size(), objects.udp_routes.size());
    return refused ? 1 : 0;
}

int status(const std::string& address, bool json)
{
    const auto page = admin::fetch(address, "/status");
    if (!page)
        return report_error(page.error());
    if (json) {
        std::fputs(page->c_str(), stdout);
        return 0;
    }
    const auto text = admin::to_text(*page);
    if (!text)
        return report_error(text.error());
    std::fputs(text->c_str(), stdout);
    return 0;
}

int probe(const std::string& address, const std::string& what)
{
    const auto answer = admin::fetch(address, what == "ready" ? "/readyz" : "/healthz");
    return answer ? 0 : report_error(answer.error());
}

std::string host_name()
{
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    return name;
}

void add_run_options(CLI::App& command, control::Options& options, std::string& log_level)
{
    static const std::map<std::string, control::L4Mode> kL4{{"auto", control::L4Mode::Auto},
                                                            {"xdp", control::L4Mode::Xdp},
                                                            {"tcx", control::L4Mode::Tcx},
                                                            {"proxy", control::L4Mode::Proxy}};
    static const std::map<std::string, proxy::IoKind> kIo{
        {"auto", proxy::IoKind::Auto}, {"io_uring", proxy::IoKind::IoUring}, {"epoll", proxy::IoKind::Epoll}};
    CLI::Option_group* source = command.add_option_group("source", "Where the objects come from: one of");
    source->add_option("--manifests", options.manifests, "Manifest files or folders, watched for changes");
    source->add_option("--kubeconfig", options.kubeconfig, "A cluster, by a kubeconfig file")->check(CLI::ExistingFile);
    source->add_flag("--in-cluster", options.in_cluster, "The cluster of the pod that this runs in");
    source->require_option(1);
    command.add_option("--node", options.node, "This node's name in the cluster")
        ->envname("NODE_NAME")
        ->default_val(host_name());
    command.add_option("--namespace", options.ns, "The agents' own namespace, where their Leases are")
        ->envname("POD_NAMESPACE")
        ->capture_default_str();
    command.add_option("--uplink", options.uplinks, "Links that clients come by (default: those with a default route)");
    command.add_option("--l4", options.l4, "Who forwards TCP and UDP: auto, xdp, tcx or proxy")
        ->transform(CLI::CheckedTransformer(kL4))
        ->default_str("auto");
    command.add_option("--io", options.proxy.io, "The proxy's event loop: auto (epoll), io_uring or epoll")
        ->transform(CLI::CheckedTransformer(kIo))
        ->default_str("auto");
    command.add_option("--workers", options.proxy.workers, "Worker threads (default: one per CPU)")
        ->check(CLI::Range(0, 256));
    command
        .add_option_function<std::vector<std::string>>(
            "--trusted-proxies",
            [&options](const std::vector<std::string>& texts) {
                for (const std::string& text : texts)
                    options.proxy.trusted_proxies.push_back(*IpPrefix::parse(text));
            },
            "Addresses or blocks (192.0.2.0/24) whose X-Forwarded-* fields are believed (default: none)")
        ->delimiter(',')
        ->check([](const std::string& text) {
            return IpPrefix::parse(text) ? std::string() : "\"" + text + "\": an address or ADDRESS/LENGTH is accepted";
        });
    command.add_option("--admin", options.admin, "Where status and metrics are served: unix:PATH or ADDR:PORT")
        ->capture_default_str();
    command.add_option("--bpffs", options.bpffs, "BPF file system that holds the pins")->capture_default_str();
    command.add_option("--controller-name", options.controller_name, "GatewayClasses of this name are served")
        ->capture_default_str();
    command.add_option("--drain-ms", options.drain_ms, "How long connections may go on after SIGTERM")
        ->check(CLI::Range(0, 3'600'000))
        ->capture_default_str();
    command.add_flag("--keep-pinned", options.keep_pinned, "Leave the kernel forwarding after SIGTERM");
    command.add_option("--log-level", log_level, "debug, info, warn, error or off")->capture_default_str();
}

}  // namespace

int main(int argc, char** argv)
{
    CLI::App app{"sluice: a Gateway API node gateway. The kernel forwards TCP and UDP, the proxy serves HTTP."};
    app.set_version_flag("--version", SLUICE_VERSION);
    app.require_subcommand(1);

    control::Options options;
    std::string log_level = "info";
    CLI::App* run_command = app.add_subcommand("run", "Serve the manifests until SIGTERM");
    add_run_options(*run_command, options, log_level);

    std::vector<std::string> paths;
    CLI::App* check_command = app.add_subcommand("check", "Validate manifests; exit 1 if anything is refused");
    check_command->add_option("paths", paths, "Files or folders; - alone: standard input")->required();

    std::string admin_address = admin::kDefaultAddress;
    std::string format = "text";
    CLI::App* status_command = app.add_subcommand("status", "Show what the running agent serves");
    status_command->add_option("--admin", admin_address, "Where the agent's admin endpoint is")->capture_default_str();
    status_command->add_option("-o,--output", format, "text or json")->check(CLI::IsMember({"text", "json"}));

    std::string asked;
    CLI::App* probe_command = app.add_subcommand("probe", "Exit 0 if the running agent is live, or ready; else 1");
    probe_command->add_option("what", asked, "live or ready")->required()->check(CLI::IsMember({"live", "ready"}));
    probe_command->add_option("--admin", admin_address, "Where the agent's admin endpoint is")->capture_default_str();

    CLI11_PARSE(app, argc, argv);
    if (run_command->parsed())
        return run(options, log_level);
    if (check_command->parsed())
        return check(paths);
    if (probe_command->parsed())
        return probe(admin_address, asked);
    return status(admin_address, format == "json");
}
