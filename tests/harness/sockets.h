// SPDX-License-Identifier: Apache-2.0
// Blocking sockets with time limits, shared by the test backend and the test client. Every call is bounded in time,
// and every read in size. Safe to use from any thread; a Stream belongs to one thread at a time.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace sluice::harness {

constexpr std::size_t kLineMax = 16 * 1024;

// Why an exchange ended. The names are part of the client's JSON.
enum class Outcome { Ok, Refused, Reset, Closed, Timeout, Unreachable, Wrong };
[[nodiscard]] const char* name_of(Outcome outcome);
[[nodiscard]] Outcome outcome_of(int errno_value);

struct Endpoint {
    sockaddr_storage storage{};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr* get() const;
};

// "192.0.2.1:80" or "[2001:db8::1]:80"; a size of 0 when it is neither.
[[nodiscard]] Endpoint parse_endpoint(const std::string& text);
// The address without its port, IPv4-mapped ones as IPv4.
[[nodiscard]] std::string address_of(const sockaddr_storage& storage);

// A connected TCP socket with a read buffer.
class Stream {
public:
    explicit Stream(UniqueFd fd) : fd_(std::move(fd)) {}
    Stream() = default;

    [[nodiscard]] static Outcome connect(const Endpoint& to, int timeout_ms, Stream& out);
    [[nodiscard]] Outcome send(std::string_view bytes);
    // Reads up to and including LF; `line` is without it and without a CR before it.
    [[nodiscard]] Outcome read_line(std::string& line);
    [[nodiscard]] Outcome read_exactly(std::size_t count, std::string& bytes);
    // At least one byte, at most buffer.size(), of what comes next.
    [[nodiscard]] Outcome read_some(std::span<char> buffer, std::size_t& count);
    [[nodiscard]] bool valid() const { return fd_.valid(); }
    void close() { fd_.reset(); }

private:
    [[nodiscard]] Outcome fill();
    UniqueFd fd_;
    std::string buffer_;
};

void set_timeouts(int fd, int timeout_ms);

// The byte at `offset` of every bulk transfer is offset % kPatternPeriod, a prime, so that lost or repeated segments
// show.
constexpr std::uint64_t kPatternPeriod = 251;
[[nodiscard]] std::string_view pattern_at(std::uint64_t offset, std::size_t size_max);

}  // namespace sluice::harness
