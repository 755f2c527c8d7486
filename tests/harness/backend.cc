// SPDX-License-Identifier: Apache-2.0
// sluice-test-backend NAME [--tcp PORT] [--udp PORT] [--http PORT]: a server that tells its name and whom it sees.
//   TCP   says "NAME CLIENT", then echoes lines; "GET N" is answered by N bytes of the pattern.
//   UDP   answers "NAME CLIENT PAYLOAD".
//   HTTP  /bytes/N is N bytes of the pattern, /echo the request's body, any other path
//         "NAME PATH X-FORWARDED-FOR HOST".
// One thread a connection, at most kConnectionsMax; ends with its parent, or by SIGTERM.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <thread>
#include <vector>

#include "tests/harness/sockets.h"

namespace {

using sluice::UniqueFd;
using sluice::harness::Outcome;
using sluice::harness::Stream;

constexpr int kConnectionsMax = 4096;
constexpr int kIdleTimeoutMs = 120'000;
constexpr std::uint64_t kBytesMax = 16ULL << 30;
constexpr std::size_t kHeadersMax = 128;
constexpr std::uint64_t kBodyMax = 64ULL << 20;

std::string backend_name;
std::atomic<int> connections = 0;

Outcome send_pattern(Stream& stream, std::uint64_t size)
{
    for (std::uint64_t sent = 0; sent < size;) {
        const auto piece = sluice::harness::pattern_at(sent, static_cast<std::size_t>(size - sent));
        if (const Outcome outcome = stream.send(piece); outcome != Outcome::Ok)
            return outcome;
        sent += piece.size();
    }
    return Outcome::Ok;
}

std::uint64_t number(const std::string& text)
{
    return std::min<std::uint64_t>(std::strtoull(text.c_str(), nullptr, 10), kBytesMax);
}

void serve_tcp(Stream stream, const std::string& client)
{
    Outcome outcome = stream.send(backend_name + " " + client + "\n");
    std::string line;
    while (outcome == Outcome::Ok && (outcome = stream.read_line(line)) == Outcome::Ok)
        outcome = line.starts_with("GET ") ? send_pattern(stream, number(line.substr(4))) : stream.send(line + "\n");
}

struct Request {
    std::string method;
    std::string path;
    std::map<std::string, std::string> headers;  // names in lower case
};

bool read_request(Stream& stream, Request& request)
{
    std::string line;
    if (stream.read_line(line) != Outcome::Ok)
        return false;
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string::npos || first == last)
        return false;
    request.method = line.substr(0, first);
    request.path = line.substr(first + 1, last - first - 1);
    while (stream.read_line(line) == Outcome::Ok && request.headers.size() < kHeadersMax) {
        if (line.empty())
            return true;
        const std::size_t colon = line.find(':');
        if (colon == std::string::npos)
            return false;
        std::string name = line.substr(0, colon);
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const std::size_t start = line.find_first_not_of(' ', colon + 1);
        request.headers[name] = start == std::string::npos ? "" : line.substr(start);
    }
    return false;
}

// Reads the body to its end. False: the connection cannot go on.
bool read_body(Stream& stream, const Request& request, std::string& body)
{
    body.clear();
    if (const auto length = request.headers.find("content-length"); length != request.headers.end()) {
        const std::uint64_t size = number(length->second);
        return size <= kBodyMax && stream.read_exactly(size, body) == Outcome::Ok;
    }
    if (!request.headers.contains("transfer-encoding"))
        return true;
    std::string line;
    std::string bytes;
    while (stream.read_line(line) == Outcome::Ok) {
        const std::uint64_t size = std::strtoull(line.c_str(), nullptr, 16);
        if (size > kBodyMax || body.size() + size > kBodyMax || stream.read_exactly(size, bytes) != Outcome::Ok ||
            stream.read_line(line) != Outcome::Ok)
            return false;
        if (size == 0)
            return true;
        body += bytes;
    }
    return false;
}

void serve_http(Stream stream, const std::string&)
{
    Request request;
    std::string body;
    while (read_request(stream, request) && read_body(stream, request, body)) {
        const bool bulk = request.path.starts_with("/bytes/");
        if (request.path != "/echo")
            body = backend_name + " " + request.path + " " + request.headers["x-forwarded-for"] + " " +
                   request.headers["host"] + "\n";
        const std::uint64_t size = bulk ? number(request.path.substr(7)) : body.size();
        const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Backend: " + backend_name +
                                 "\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
        const bool bodiless = request.method == "HEAD";
        if (stream.send(bulk || bodiless ? head : head + body) != Outcome::Ok ||
            (bulk && !bodiless && send_pattern(stream, size) != Outcome::Ok))
            return;
        if (request.headers["connection"] == "close")
            return;
        request = {};
    }
}

UniqueFd open_socket(int type, const char* port)
{
    UniqueFd fd(::socket(AF_INET6, type | SOCK_CLOEXEC, 0));
    const int zero = 0;
    const int one = 1;
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_any;
    address.sin6_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    const void* untyped = &address;
    if (::bind(fd.get(), static_cast<const sockaddr*>(untyped), sizeof(address)) != 0 ||
        (type == SOCK_STREAM && ::listen(fd.get(), 1024) != 0)) {
        std::perror("sluice-test-backend: bind");
        std::exit(1);
    }
    return fd;
}

void accept_forever(const UniqueFd& listener, void (*serve)(Stream, const std::string&))
{
    while (true) {
        sockaddr_storage from{};
        socklen_t size = sizeof(from);
        void* untyped = &from;
        UniqueFd fd(::accept4(listener.get(), static_cast<sockaddr*>(untyped), &size, SOCK_CLOEXEC));
        if (!fd.valid() || connections >= kConnectionsMax)
            continue;
        const int one = 1;
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        sluice::harness::set_timeouts(fd.get(), kIdleTimeoutMs);
        ++connections;
        std::thread([serve, stream = Stream(std::move(fd)), client = sluice::harness::address_of(from)]() mutable {
            serve(std::move(stream), client);
            --connections;
        }).detach();
    }
}

void answer_datagrams(const UniqueFd& socket)
{
    std::vector<char> buffer(65536);
    while (true) {
        sockaddr_storage from{};
        socklen_t size = sizeof(from);
        void* untyped = &from;
        const ssize_t received =
            ::recvfrom(socket.get(), buffer.data(), buffer.size(), 0, static_cast<sockaddr*>(untyped), &size);
        if (received < 0)
            continue;
        const std::string answer = backend_name + " " + sluice::harness::address_of(from) + " " +
                                   std::string(buffer.data(), static_cast<std::size_t>(received));
        ::sendto(socket.get(), answer.data(), answer.size(), 0, static_cast<sockaddr*>(untyped), size);
    }
}

}  // namespace

int main(int argc, char** argv)
{
    if (argc < 4 || argc % 2 != 0) {
        std::fputs("usage: sluice-test-backend NAME [--tcp PORT] [--udp PORT] [--http PORT]\n", stderr);
        return 2;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    backend_name = argv[1];
    std::vector<std::thread> threads;
    for (int i = 2; i + 1 < argc; i += 2) {
        const std::string protocol = argv[i];
        if (protocol == "--udp")
            threads.emplace_back([fd = open_socket(SOCK_DGRAM, argv[i + 1])] { answer_datagrams(fd); });
        else
            threads.emplace_back([fd = open_socket(SOCK_STREAM, argv[i + 1]), http = protocol == "--http"] {
                accept_forever(fd, http ? serve_http : serve_tcp);
            });
    }
    for (std::thread& thread : threads)
        thread.join();
}
