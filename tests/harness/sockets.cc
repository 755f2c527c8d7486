// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace sluice::harness {

const char* name_of(Outcome outcome)
{
    switch (outcome) {
    case Outcome::Ok: return "ok";
    case Outcome::Refused: return "refused";
    case Outcome::Reset: return "reset";
    case Outcome::Closed: return "closed";
    case Outcome::Timeout: return "timeout";
    case Outcome::Unreachable: return "unreachable";
    case Outcome::Wrong: break;
    }
    return "wrong";
}

Outcome outcome_of(int errno_value)
{
    switch (errno_value) {
    case ECONNREFUSED: return Outcome::Refused;
    case ECONNRESET:
    case EPIPE: return Outcome::Reset;
    case EAGAIN:
    case EINPROGRESS:
    case ETIMEDOUT: return Outcome::Timeout;
    default: return Outcome::Unreachable;
    }
}

const sockaddr* Endpoint::get() const
{
    const void* untyped = &storage;
    return static_cast<const sockaddr*>(untyped);
}

Endpoint parse_endpoint(const std::string& text)
{
    Endpoint result;
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0)
        return result;
    std::string host = text.substr(0, colon);
    std::uint16_t port = 0;
    const char* end = text.data() + text.size();
    if (const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, port);
        error != std::errc{} || stop != end)
        return result;
    if (host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    void* untyped = &result.storage;
    auto* v4 = static_cast<sockaddr_in*>(untyped);
    auto* v6 = static_cast<sockaddr_in6*>(untyped);
    if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        result.size = sizeof(*v4);
    } else if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        result.size = sizeof(*v6);
    }
    return result;
}

std::string address_of(const sockaddr_storage& storage)
{
    char text[INET6_ADDRSTRLEN] = "?";
    const void* untyped = &storage;
    if (storage.ss_family == AF_INET) {
        ::inet_ntop(AF_INET, &static_cast<const sockaddr_in*>(untyped)->sin_addr, text, sizeof(text));
    } else if (storage.ss_family == AF_INET6) {
        const in6_addr& address = static_cast<const sockaddr_in6*>(untyped)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&address))
            ::inet_ntop(AF_INET, &address.s6_addr[12], text, sizeof(text));
        else
            ::inet_ntop(AF_INET6, &address, text, sizeof(text));
    }
    return text;
}

void set_timeouts(int fd, int timeout_ms)
{
    const timeval limit{.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));  // connect heeds it too
}

Outcome Stream::connect(const Endpoint& to, int timeout_ms, Stream& out)
{
    UniqueFd fd(::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd.valid())
        return outcome_of(errno);
    set_timeouts(fd.get(), timeout_ms);
    const int one = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (::connect(fd.get(), to.get(), to.size) != 0)
        return outcome_of(errno);
    out = Stream(std::move(fd));
    return Outcome::Ok;
}

Outcome Stream::send(std::string_view bytes)
{
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return outcome_of(errno);
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return Outcome::Ok;
}

Outcome Stream::read_some(std::span<char> buffer, std::size_t& count)
{
    if (!buffer_.empty()) {
        count = std::min(buffer.size(), buffer_.size());
        std::ranges::copy_n(buffer_.begin(), static_cast<std::ptrdiff_t>(count), buffer.begin());
        buffer_.erase(0, count);
        return Outcome::Ok;
    }
    while (true) {
        const ssize_t received = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (received < 0 && errno == EINTR)
            continue;
        if (received < 0)
            return outcome_of(errno);
        count = static_cast<std::size_t>(received);
        return count == 0 ? Outcome::Closed : Outcome::Ok;
    }
}

Outcome Stream::fill()
{
    char chunk[16 * 1024];
    std::string before = std::exchange(buffer_, {});
    std::size_t count = 0;
    const Outcome outcome = read_some(chunk, count);
    buffer_ = std::move(before);
    if (outcome == Outcome::Ok)
        buffer_.append(chunk, count);
    return outcome;
}

Outcome Stream::read_line(std::string& line)
{
    std::size_t end = 0;
    while ((end = buffer_.find('\n')) == std::string::npos) {
        if (buffer_.size() > kLineMax)
            return Outcome::Wrong;
        if (const Outcome outcome = fill(); outcome != Outcome::Ok)
            return outcome;
    }
    line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    if (line.ends_with('\r'))
        line.pop_back();
    return Outcome::Ok;
}

Outcome Stream::read_exactly(std::size_t count, std::string& bytes)
{
    while (buffer_.size() < count) {
        if (const Outcome outcome = fill(); outcome != Outcome::Ok)
            return outcome;
    }
    bytes = buffer_.substr(0, count);
    buffer_.erase(0, count);
    return Outcome::Ok;
}

std::string_view pattern_at(std::uint64_t offset, std::size_t size_max)
{
    static const std::string pattern = [] {
        std::string bytes(kPatternPeriod * 1024, '\0');
        for (std::size_t i = 0; i < bytes.size(); ++i)
            bytes[i] = static_cast<char>(i % kPatternPeriod);
        return bytes;
    }();
    const std::size_t start = offset % kPatternPeriod;
    return std::string_view(pattern).substr(start, std::min(size_max, pattern.size() - start));
}

}  // namespace sluice::harness
