// SPDX-License-Identifier: Apache-2.0
// A client that sends HTTP/1 requests when they are due, whatever the answers do, and measures each from that moment:
// what h2load's closed loop cannot see. One thread, one file; load.py builds it, with nothing of the project.
//   pacer ADDRESS PORT HOST PATH BODY_FILE RATE SECONDS    JSON on standard output; exit 1 at the first wrong answer
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::duration;
using std::chrono::nanoseconds;

constexpr size_t kConnections = 64;
constexpr auto kWindow = std::chrono::milliseconds(250);
constexpr auto kGrace =
    std::chrono::seconds(5);  // what is not answered so long after the last was due counts as that late

[[noreturn]] void fail(const std::string& what)
{
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

struct Connection {
    int fd = -1;
    bool waiting = false;
    Clock::time_point due;
    std::string answer;
};

int connect_to(const char* address, uint16_t port)
{
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
        fail(std::string("not an IPv4 address: ") + address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0)
        fail(std::string("connect: ") + std::strerror(errno));
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

class Pacer {
public:
    Pacer(std::string request, std::string body, size_t total, nanoseconds interval)
        : request_(std::move(request)),
          body_(std::move(body)),
          total_(total),
          interval_(interval),
          epoll_(epoll_create1(EPOLL_CLOEXEC)),
          connections_(kConnections),
          windows_(static_cast<size_t>(interval * static_cast<nanoseconds::rep>(total) / kWindow) + 1)
    {
        latencies_us_.reserve(total);
    }

    void open(const char* address, uint16_t port)
    {
        for (size_t i = 0; i < connections_.size(); ++i) {
            connections_[i].fd = connect_to(address, port);
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = i;
            epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_[i].fd, &event);
            free_.push_back(i);
        }
    }

    void run()
    {
        start_ = Clock::now();
        const Clock::time_point end = due(total_) + kGrace;
        for (Clock::time_point now = start_; answered_ < total_ && now < end; now = Clock::now()) {
            while (sent_ < total_ && !free_.empty() && due(sent_) <= now)
                send_next();
            const bool can_send = sent_ < total_ && !free_.empty();
            wait_until(can_send ? due(sent_) : end);
        }
        took_ = Clock::now() - start_;
    }

    void print()
    {
        for (const Connection& connection : connections_) {
            if (connection.waiting)
                add_latency(connection.due, start_ + took_);
        }
        for (size_t i = sent_; i < total_; ++i)
            add_latency(due(i), start_ + took_);
        std::sort(latencies_us_.begin(), latencies_us_.end());
        std::printf(R"({"p50_us": %.1f, "p99_us": %.1f, "p999_us": %.1f, "answered": %zu, "seconds": %.3f, )"
                    R"("p99_of_windows_us": [)",
                    at(latencies_us_, 500), at(latencies_us_, 990), at(latencies_us_, 999), answered_,
                    duration<double>(took_).count());
        const char* between = "";
        for (std::vector<double>& window : windows_) {
            if (window.empty())
                continue;
            std::sort(window.begin(), window.end());
            std::printf("%s%.1f", between, at(window, 990));
            between = ", ";
        }
        std::puts("]}");
    }

private:
    Clock::time_point due(size_t number) const { return start_ + interval_ * static_cast<nanoseconds::rep>(number); }
    static double at(const std::vector<double>& sorted, size_t permille)
    {
        return sorted[sorted.size() * permille / 1000];
    }
    void add_latency(Clock::time_point since, Clock::time_point until)
    {
        const double latency_us = duration<double, std::micro>(until - since).count();
        latencies_us_.push_back(latency_us);
        windows_[static_cast<size_t>((since - start_) / kWindow)].push_back(latency_us);
    }

    void send_next()
    {
        Connection& connection = connections_[free_.front()];
        free_.pop_front();
        connection.due = due(sent_++);
        connection.waiting = true;
        if (send(connection.fd, request_.data(), request_.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(request_.size()))
            fail(std::string("send: ") + std::strerror(errno));
    }

    void wait_until(Clock::time_point moment)
    {
        const auto left = std::max<nanoseconds::rep>(0, nanoseconds(moment - Clock::now()).count());
        timespec timeout{};
        timeout.tv_sec = left / 1'000'000'000;
        timeout.tv_nsec = left % 1'000'000'000;
        epoll_event events[kConnections];
        const int count = epoll_pwait2(epoll_, events, kConnections, &timeout, nullptr);
        for (int i = 0; i < count; ++i)
            receive(events[i].data.u64);
    }

    void receive(size_t index)
    {
        Connection& connection = connections_[index];
        char piece[65536];
        const ssize_t size = recv(connection.fd, piece, sizeof(piece), 0);
        if (size <= 0 || !connection.waiting)
            fail(size <= 0 ? "the proxy closed a connection" : "bytes that nothing asked for");
        connection.answer.append(piece, static_cast<size_t>(size));
        const size_t head = connection.answer.find("\r\n\r\n");
        if (head == std::string::npos || connection.answer.size() < head + 4 + body_.size())
            return;
        if (!connection.answer.starts_with("HTTP/1.1 200 ") ||
            connection.answer.compare(head + 4, std::string::npos, body_) != 0)
            fail("wrong answer: " + connection.answer.substr(0, 200));
        connection.answer.clear();
        connection.waiting = false;
        add_latency(connection.due, Clock::now());
        ++answered_;
        free_.push_back(index);
    }

    std::string request_;
    std::string body_;
    size_t total_;
    nanoseconds interval_;
    int epoll_;
    std::vector<Connection> connections_;
    std::deque<size_t> free_;
    Clock::time_point start_;
    nanoseconds took_{};
    size_t sent_ = 0;
    size_t answered_ = 0;
    std::vector<double> latencies_us_;
    std::vector<std::vector<double>> windows_;  // of requests due in each kWindow
};

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 8)
        fail("pacer ADDRESS PORT HOST PATH BODY_FILE RATE SECONDS");
    prctl(PR_SET_TIMERSLACK, 1);  // the default of 50 us would show as the proxy's latency
    const std::string request = std::string("GET ") + argv[4] + " HTTP/1.1\r\nHost: " + argv[3] + "\r\n\r\n";
    std::ifstream file(argv[5], std::ios::binary);
    const std::string body{std::istreambuf_iterator<char>(file), {}};
    const size_t rate = std::strtoul(argv[6], nullptr, 10);
    const size_t seconds = std::strtoul(argv[7], nullptr, 10);
    if (rate == 0 || seconds == 0 || body.empty())
        fail("a rate, a time and a body are wanted");
    Pacer pacer(request, body, rate * seconds, nanoseconds(1'000'000'000 / rate));
    pacer.open(argv[1], static_cast<uint16_t>(std::strtoul(argv[2], nullptr, 10)));
    pacer.run();
    pacer.print();
}
