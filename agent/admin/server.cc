// SPDX-License-Identifier: Apache-2.0
#include "agent/admin/server.h"

#include <httplib.h>
#include <sys/stat.h>

#include <charconv>
#include <filesystem>
#include <thread>

namespace sluice::admin {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr int kTimeoutSeconds = 5;

struct Address {
    std::string unix_path;  // or, when empty,
    std::string host;
    int port = 0;
};

Result<Address> parse_address(const std::string& text)
{
    constexpr const char* kAccepted = ": use unix:PATH or ADDR:PORT";
    if (text.starts_with(kUnixPrefix)) {
        const std::string path = text.substr(kUnixPrefix.size());
        constexpr std::size_t kSunPathMax = 107;
        if (path.empty() || path.size() > kSunPathMax)
            return fail(EINVAL, "admin address", text + kAccepted + ", PATH of at most 107 bytes");
        return Address{path, "", 0};
    }
    const std::size_t colon = text.rfind(':');
    int port = 0;
    if (colon == std::string::npos || colon == 0)
        return fail(EINVAL, "admin address", text + kAccepted);
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, port);
    if (error != std::errc{} || stop != end || port < 1 || port > 65535)
        return fail(EINVAL, "admin address", text + kAccepted);
    std::string host = text.substr(0, colon);
    if (host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    return Address{"", std::move(host), port};
}

httplib::Client make_client(const Address& address)
{
    httplib::Client client =
        address.unix_path.empty() ? httplib::Client(address.host, address.port) : httplib::Client(address.unix_path);
    if (!address.unix_path.empty())
        client.set_address_family(AF_UNIX);
    client.set_connection_timeout(kTimeoutSeconds);
    client.set_read_timeout(kTimeoutSeconds);
    return client;
}

}  // namespace

struct Server::State {
    httplib::Server http;
    Address address;
    std::function<Report()> report;
    std::thread thread;

    void add_pages()
    {
        http.Get("/status", [this](const httplib::Request&, httplib::Response& response) {
            response.set_content(to_json(report()), "application/json");
        });
        http.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
            response.set_content(to_metrics(report()), "text/plain; version=0.0.4");
        });
        http.Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
            response.set_content("ok\n", "text/plain");
        });
        http.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
            const bool ready = report().ready;
            response.status = ready ? 200 : 503;
            response.set_content(ready ? "ready\n" : "starting\n", "text/plain");
        });
    }

    Result<void> listen()
    {
        constexpr std::size_t kRequestBytesMax = 64 * 1024;
        constexpr std::size_t kThreads = 2;
        http.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
        http.set_payload_max_length(kRequestBytesMax);
        http.set_read_timeout(kTimeoutSeconds);
        http.set_write_timeout(kTimeoutSeconds);
        http.set_keep_alive_max_count(1);
        if (address.unix_path.empty()) {
            if (!http.bind_to_port(address.host, address.port))
                return fail(EADDRINUSE, "bind", address.host + ":" + std::to_string(address.port));
        } else if (auto bound = bind_unix(); !bound) {
            return bound;
        }
        thread = std::thread([this] { http.listen_after_bind(); });
        while (!http.is_running())  // `stop` has no effect before
            std::this_thread::yield();
        return {};
    }

    Result<void> bind_unix()
    {
        std::error_code ignored;
        std::filesystem::create_directories(std::filesystem::path(address.unix_path).parent_path(), ignored);
        if (std::filesystem::exists(address.unix_path, ignored)) {
            if (make_client(address).Get("/healthz"))
                return fail(EADDRINUSE, "admin socket", address.unix_path + ": another agent answers there");
            std::filesystem::remove(address.unix_path, ignored);  // left by an agent that was killed
        }
        const mode_t before = ::umask(0177);  // the socket is for its owner alone
        constexpr int kAnyPort = 80;          // the library wants one also for a unix socket
        const bool bound = http.set_address_family(AF_UNIX).bind_to_port(address.unix_path, kAnyPort);
        ::umask(before);
        if (!bound)
            return fail(errno, "bind", address.unix_path);
        return {};
    }
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server()
{
    state_->http.stop();
    if (state_->thread.joinable())
        state_->thread.join();
    if (!state_->address.unix_path.empty()) {
        std::error_code ignored;
        std::filesystem::remove(state_->address.unix_path, ignored);
    }
}

Result<std::unique_ptr<Server>> Server::make(const std::string& address, std::function<Report()> report)
{
    auto parsed = parse_address(address);
    if (!parsed)
        return std::unexpected(parsed.error());
    auto state = std::make_unique<State>();
    state->address = *std::move(parsed);
    state->report = std::move(report);
    state->add_pages();
    if (auto listening = state->listen(); !listening)
        return std::unexpected(listening.error());
    return std::unique_ptr<Server>(new Server(std::move(state)));
}

Result<std::string> fetch(const std::string& address, const std::string& path)
{
    const auto parsed = parse_address(address);
    if (!parsed)
        return std::unexpected(parsed.error());
    const auto response = make_client(*parsed).Get(path);
    if (!response)
        return fail(0, "no agent answers at", address + " (is `sluice run` running, with the same --admin?)");
    if (response->status / 100 != 2)
        return fail(0, "agent", address + path + " answered " + std::to_string(response->status));
    return response->body;
}

}  // namespace sluice::admin
