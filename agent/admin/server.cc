// SPDX-License-Identifier: Apache-2.0
// HTTP by Boost.Beast, which brings no library into the process; sockets are made here, so that a unix socket and TCP
// are served by the same code.
#include "agent/admin/server.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/unique_fd.h"

namespace sluice::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Protocol = asio::generic::stream_protocol;

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::chrono::seconds kTimeout{5};
constexpr std::size_t kRequestBytesMax = 64UL * 1024;
constexpr std::size_t kReplyBytesMax = 256UL * 1024 * 1024;
constexpr std::size_t kConnectionsMax = 64;

struct Address {
    std::string text;
    std::string unix_path;  // empty: TCP
    sockaddr_storage storage{};
    socklen_t size = 0;

    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Result<Address> parse_unix(const std::string& text, const char* accepted)
{
    Address address;
    address.text = text;
    address.unix_path = text.substr(kUnixPrefix.size());
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (address.unix_path.empty() || address.unix_path.size() >= sizeof name.sun_path)
        return fail(EINVAL, "admin address", text + accepted + ", PATH of at most 107 bytes");
    address.unix_path.copy(name.sun_path, sizeof name.sun_path);
    std::memcpy(&address.storage, &name, sizeof name);
    address.size = sizeof name;
    return address;
}

Result<Address> parse_address(const std::string& text)
{
    constexpr const char* kAccepted = ": use unix:PATH or ADDR:PORT";
    if (text.starts_with(kUnixPrefix))
        return parse_unix(text, kAccepted);
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0)
        return fail(EINVAL, "admin address", text + kAccepted);
    int port = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, port);
    if (error != std::errc{} || stop != end || port < 1 || port > 65535)
        return fail(EINVAL, "admin address", text + kAccepted);
    std::string host = text.substr(0, colon);
    if (host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);

    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int rc = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); rc != 0)
        return fail(EINVAL, "admin address", text + ": " + ::gai_strerror(rc));
    Address address;
    address.text = text;
    std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
    address.size = found->ai_addrlen;
    ::freeaddrinfo(found);
    return address;
}

UniqueFd make_socket(const Address& address)
{
    return UniqueFd(::socket(address.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

// One exchange with the agent; none: no answer, or not an HTTP one.
std::optional<http::response<http::string_body>> get(const Address& address, const std::string& path)
{
    const UniqueFd fd = make_socket(address);
    const timeval limit{.tv_sec = kTimeout.count(), .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (::connect(fd.get(), address.get(), address.size) != 0)
        return std::nullopt;
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
        return std::nullopt;

    http::response_parser<http::string_body> parser;
    parser.eager(true);
    parser.body_limit(kReplyBytesMax);
    beast::flat_buffer received;
    while (!parser.is_done()) {
        constexpr std::size_t kChunk = 64UL * 1024;
        const auto room = received.prepare(kChunk);
        const ssize_t count = ::recv(fd.get(), room.data(), room.size(), 0);
        if (count <= 0)
            return std::nullopt;
        received.commit(static_cast<std::size_t>(count));
        error_code error;
        received.consume(parser.put(received.data(), error));
        if (error && error != http::error::need_more)
            return std::nullopt;
    }
    return parser.release();
}

}  // namespace

struct Server::State {
    Address address;
    Answers answers;
    std::size_t connections = 0;  // of the thread
    asio::io_context io{1};
    asio::basic_socket_acceptor<Protocol> acceptor{io};
    asio::steady_timer pause{io};
    std::thread thread;

    [[nodiscard]] http::response<http::string_body> answer(const http::request<http::string_body>& request) const;
    Result<void> listen();
    void accept();

private:
    Result<void> clear_unix_path() const;
};

namespace {

// One connection: one request, one answer, within kTimeout each.
class Session : public std::enable_shared_from_this<Session> {
public:
    Session(Protocol::socket socket, Server::State& state) : stream_(std::move(socket)), state_(state)
    {
        ++state_.connections;
        parser_.body_limit(kRequestBytesMax);
    }
    ~Session() { --state_.connections; }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    void start()
    {
        stream_.expires_after(kTimeout);
        http::async_read(stream_, buffer_, parser_, [self = shared_from_this()](error_code error, std::size_t) {
            if (!error)
                self->reply();
        });
    }

private:
    void reply()
    {
        response_ = state_.answer(parser_.get());
        stream_.expires_after(kTimeout);
        http::async_write(stream_, response_, [self = shared_from_this()](error_code, std::size_t) {
            error_code ignored;
            self->stream_.socket().shutdown(Protocol::socket::shutdown_send, ignored);
        });
    }

    beast::basic_stream<Protocol> stream_;
    Server::State& state_;
    beast::flat_buffer buffer_{kRequestBytesMax};
    http::request_parser<http::string_body> parser_;
    http::response<http::string_body> response_;
};

}  // namespace

http::response<http::string_body> Server::State::answer(const http::request<http::string_body>& request) const
{
    const std::string target(request.target());
    const std::string path = target.substr(0, target.find('?'));
    http::response<http::string_body> response(http::status::ok, request.version());
    const auto set = [&response](http::status status, std::string body, const char* type = "text/plain") {
        response.result(status);
        response.set(http::field::content_type, type);
        response.body() = std::move(body);
    };
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        response.set(http::field::allow, "GET, HEAD");
        set(http::status::method_not_allowed, "only GET and HEAD\n");
    } else if (path == "/status") {
        set(http::status::ok, to_json(answers.report()), "application/json");
    } else if (path == "/metrics") {
        set(http::status::ok, to_metrics(answers.report()), "text/plain; version=0.0.4");
    } else if (path == "/healthz") {
        const bool alive = answers.is_alive();
        set(alive ? http::status::ok : http::status::service_unavailable, alive ? "ok\n" : "a loop hangs\n");
    } else if (path == "/readyz") {
        const bool ready = answers.is_ready();
        set(ready ? http::status::ok : http::status::service_unavailable, ready ? "ready\n" : "starting\n");
    } else {
        set(http::status::not_found, "no such page\n");
    }
    response.keep_alive(false);
    response.prepare_payload();
    if (request.method() == http::verb::head)
        response.body().clear();  // its length stays in the head
    return response;
}

Result<void> Server::State::clear_unix_path() const
{
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(address.unix_path).parent_path(), ignored);
    if (!std::filesystem::exists(address.unix_path, ignored))
        return {};
    if (get(address, "/healthz"))
        return fail(EADDRINUSE, "admin socket", address.unix_path + ": another agent answers there");
    std::filesystem::remove(address.unix_path, ignored);  // left by an agent that was killed
    return {};
}

Result<void> Server::State::listen()
{
    const bool is_unix = !address.unix_path.empty();
    if (is_unix) {
        if (auto cleared = clear_unix_path(); !cleared)
            return cleared;
    }
    UniqueFd fd = make_socket(address);
    const int on = 1;
    if (!is_unix)
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const mode_t before = ::umask(0177);  // the socket is for its owner alone
    const bool bound = ::bind(fd.get(), address.get(), address.size) == 0;
    const int bind_error = errno;
    ::umask(before);
    if (!bound)
        return fail(bind_error, "bind the admin address", address.text);
    if (::listen(fd.get(), SOMAXCONN) != 0)
        return fail(errno, "listen on the admin address", address.text);
    error_code error;
    acceptor.assign(Protocol(address.get()->sa_family, 0), fd.get(), error);
    if (error)
        return fail(error.value(), "watch the admin address", address.text);
    static_cast<void>(fd.release());  // the acceptor's now
    accept();
    thread = std::thread([this] { io.run(); });
    return {};
}

void Server::State::accept()
{
    acceptor.async_accept([this](error_code error, Protocol::socket socket) {
        if (!error && connections < kConnectionsMax)
            std::make_shared<Session>(std::move(socket), *this)->start();
        if (!error)
            return accept();
        constexpr std::chrono::milliseconds kPause{100};  // no descriptors: they come back as connections end
        pause.expires_after(kPause);
        pause.async_wait([this](error_code) { accept(); });
    });
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server()
{
    state_->io.stop();
    if (state_->thread.joinable())
        state_->thread.join();
    if (!state_->address.unix_path.empty()) {
        std::error_code ignored;
        std::filesystem::remove(state_->address.unix_path, ignored);
    }
}

Result<std::unique_ptr<Server>> Server::make(const std::string& address, Answers answers)
{
    auto parsed = parse_address(address);
    if (!parsed)
        return std::unexpected(parsed.error());
    auto state = std::make_unique<State>();
    state->address = *std::move(parsed);
    state->answers = std::move(answers);
    if (auto listening = state->listen(); !listening)
        return std::unexpected(listening.error());
    return std::unique_ptr<Server>(new Server(std::move(state)));
}

Result<std::string> fetch(const std::string& address, const std::string& path)
{
    const auto parsed = parse_address(address);
    if (!parsed)
        return std::unexpected(parsed.error());
    const auto response = get(*parsed, path);
    if (!response)
        return fail(0, "no agent answers at", address + " (is `sluice run` running, with the same --admin?)");
    if (http::to_status_class(response->result()) != http::status_class::successful)
        return fail(0, "agent", address + path + " answered " + std::to_string(response->result_int()));
    return response->body();
}

}  // namespace sluice::admin
