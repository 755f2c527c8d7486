// SPDX-License-Identifier: Apache-2.0
// sluice-test-client COMMAND --to ADDR:PORT [OPTIONS]: real traffic, counted by the name that answered, as one line of
// JSON.
//   connections  TCP: connect, read the greeting, one echo, close
//   hold         TCP: -n connections kept open, a line each --interval-ms, until SIGTERM; a changed name is a failure
//   download     TCP: --bytes N checked against the pattern, at most --rate-mb MB/s
//   udp          three datagrams from one socket; the name must stay
//   http         GET --path over -c connections, kept unless --keep no; any status but --status is a failure
// Options: -n COUNT (0: until SIGTERM), -c CONCURRENCY, --interval-ms, --timeout-ms, --limit-s, --host, --path,
// --status, and --stats FILE, rewritten ten times a second. Exit 0: everything asked for was done and nothing failed.
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/harness/sockets.h"

namespace {

using namespace std::chrono_literals;
using sluice::UniqueFd;
using sluice::harness::Endpoint;
using sluice::harness::Outcome;
using sluice::harness::Stream;
using Clock = std::chrono::steady_clock;

std::atomic<bool> stop_requested = false;  // by SIGTERM or the time limit
std::atomic<bool> timed_out = false;

struct Options {
    std::string command;
    Endpoint to;
    std::uint64_t count = 100;
    unsigned concurrency = 10;
    int timeout_ms = 5000;
    unsigned interval_ms = 0;
    unsigned limit_s = 120;
    std::uint64_t bytes = 0;
    std::uint64_t rate_mb = 0;
    std::string host = "example.com";
    std::string path = "/";
    std::string status = "200";
    bool keep = true;
    std::string stats_file;
};

// What was seen so far; every worker adds to it.
class Tally {
public:
    void add(Outcome outcome, const std::string& name, const std::string& client, Clock::time_point started)
    {
        const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started).count();
        const std::lock_guard lock(mutex_);
        ++total_;
        max_ms_ = std::max(max_ms_, took);
        if (outcome != Outcome::Ok) {
            ++outcomes_[sluice::harness::name_of(outcome)];
            return;
        }
        ++names_[name];
        if (!client.empty())
            ++clients_[client];
    }

    [[nodiscard]] std::uint64_t failed() const
    {
        const std::lock_guard lock(mutex_);
        return sum(outcomes_);
    }

    [[nodiscard]] std::string to_json(bool complete) const
    {
        const std::lock_guard lock(mutex_);
        return "{\"total\":" + std::to_string(total_) + ",\"failed\":" + std::to_string(sum(outcomes_)) +
               ",\"complete\":" + (complete ? "true" : "false") + ",\"max_ms\":" + std::to_string(max_ms_) +
               ",\"names\":" + object(names_) + ",\"clients\":" + object(clients_) +
               ",\"outcomes\":" + object(outcomes_) + "}\n";
    }

private:
    using Counts = std::map<std::string, std::uint64_t>;
    static std::uint64_t sum(const Counts& counts)
    {
        std::uint64_t total = 0;
        for (const auto& [key, value] : counts)
            total += value;
        return total;
    }
    // Names come from the far side: only characters that need no escape pass.
    static std::string object(const Counts& counts)
    {
        std::string text = "{";
        for (const auto& [key, value] : counts) {
            text += text.size() > 1 ? ",\"" : "\"";
            for (const char c : key)
                text +=
                    std::isalnum(static_cast<unsigned char>(c)) != 0 || (c != 0 && std::strchr("-_.:/", c) != nullptr)
                        ? c
                        : '?';
            text += "\":" + std::to_string(value);
        }
        return text + "}";
    }

    mutable std::mutex mutex_;
    std::uint64_t total_ = 0;
    std::int64_t max_ms_ = 0;
    Counts names_, clients_, outcomes_;
};

struct Greeting {
    std::string name, client;
};

Outcome greet(const Options& options, Stream& stream, Greeting& greeting)
{
    std::string line;
    Outcome outcome = Stream::connect(options.to, options.timeout_ms, stream);
    if (outcome == Outcome::Ok)
        outcome = stream.read_line(line);
    const std::size_t space = line.find(' ');
    greeting = {line.substr(0, space), space == std::string::npos ? "" : line.substr(space + 1)};
    return outcome;
}

Outcome echo(Stream& stream, const std::string& text)
{
    std::string line;
    if (const Outcome outcome = stream.send(text + "\n"); outcome != Outcome::Ok)
        return outcome;
    if (const Outcome outcome = stream.read_line(line); outcome != Outcome::Ok)
        return outcome;
    return line == text ? Outcome::Ok : Outcome::Wrong;
}

void connect_once(const Options& options, Tally& tally)
{
    const auto started = Clock::now();
    Stream stream;
    Greeting greeting;
    Outcome outcome = greet(options, stream, greeting);
    if (outcome == Outcome::Ok)
        outcome = echo(stream, "hello");
    tally.add(outcome, greeting.name, greeting.client, started);
}

void exchange_datagrams(const Options& options, Tally& tally)
{
    const auto started = Clock::now();
    UniqueFd fd(::socket(options.to.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sluice::harness::set_timeouts(fd.get(), options.timeout_ms);
    Outcome outcome =
        ::connect(fd.get(), options.to.get(), options.to.size) == 0 ? Outcome::Ok : sluice::harness::outcome_of(errno);
    std::string name, client;
    for (int i = 0; i < 3 && outcome == Outcome::Ok; ++i) {
        const std::string payload = "datagram-" + std::to_string(i);
        char buffer[2048];
        ssize_t received = -1;
        if (::send(fd.get(), payload.data(), payload.size(), 0) < 0 ||
            (received = ::recv(fd.get(), buffer, sizeof(buffer), 0)) < 0) {
            outcome = sluice::harness::outcome_of(errno);
            break;
        }
        const std::string answer(buffer, static_cast<std::size_t>(received));
        const std::size_t first = answer.find(' ');
        const std::size_t last = answer.rfind(' ');
        if (first == std::string::npos || first == last || answer.substr(last + 1) != payload ||
            (i > 0 && answer.substr(0, first) != name))
            outcome = Outcome::Wrong;
        else
            name = answer.substr(0, first), client = answer.substr(first + 1, last - first - 1);
    }
    tally.add(outcome, name, client, started);
}

Outcome read_response(const Options& options, Stream& stream, Greeting& greeting, bool& keep)
{
    std::string line, body;
    std::size_t length = 0;
    Outcome outcome = stream.read_line(line);
    const bool expected = line.starts_with("HTTP/1.1 " + options.status);
    while (outcome == Outcome::Ok && (outcome = stream.read_line(line)) == Outcome::Ok && !line.empty()) {
        const std::size_t colon = line.find(':');
        const std::string name = line.substr(0, colon);
        const std::string value = colon == std::string::npos ? "" : line.substr(std::min(line.size(), colon + 2));
        if (::strcasecmp(name.c_str(), "content-length") == 0)
            length = std::strtoull(value.c_str(), nullptr, 10);
        if (::strcasecmp(name.c_str(), "x-backend") == 0)
            greeting.name = value;
        if (::strcasecmp(name.c_str(), "connection") == 0 && ::strcasecmp(value.c_str(), "close") == 0)
            keep = false;
    }
    if (outcome == Outcome::Ok)
        outcome = stream.read_exactly(length, body);
    if (outcome != Outcome::Ok)
        return outcome;
    if (greeting.name.empty())
        greeting.name = options.status;
    return expected ? Outcome::Ok : Outcome::Wrong;
}

void request_once(const Options& options, Stream& stream, Tally& tally)
{
    const auto started = Clock::now();
    Greeting greeting;
    bool keep = true;
    Outcome outcome = stream.valid() ? Outcome::Ok : Stream::connect(options.to, options.timeout_ms, stream);
    if (outcome == Outcome::Ok)
        outcome = stream.send("GET " + options.path + " HTTP/1.1\r\nHost: " + options.host + "\r\n\r\n");
    if (outcome == Outcome::Ok)
        outcome = read_response(options, stream, greeting, keep);
    if (!keep || !options.keep || outcome != Outcome::Ok)
        stream.close();
    tally.add(outcome, greeting.name, "", started);
}

// One kept connection: exchanges a line each interval until told to stop, and counts itself once, at its end.
void hold_one(const Options& options, Tally& tally, std::atomic<std::uint64_t>& lines)
{
    const auto started = Clock::now();
    Stream stream;
    Greeting greeting;
    Outcome outcome = greet(options, stream, greeting);
    for (std::uint64_t i = 0; outcome == Outcome::Ok && !stop_requested; ++i) {
        outcome = echo(stream, "line-" + std::to_string(i));
        ++lines;
        std::this_thread::sleep_for(std::chrono::milliseconds(options.interval_ms));
    }
    tally.add(outcome, greeting.name, greeting.client, started);
}

// True when all bytes came. A read that waits ends by --timeout-ms.
bool download(const Options& options, Tally& tally)
{
    const auto started = Clock::now();
    Stream stream;
    Greeting greeting;
    Outcome outcome = greet(options, stream, greeting);
    if (outcome == Outcome::Ok)
        outcome = stream.send("GET " + std::to_string(options.bytes) + "\n");
    std::vector<char> buffer(256 * 1024);
    std::uint64_t done = 0;
    while (outcome == Outcome::Ok && done < options.bytes && !stop_requested) {
        std::size_t count = 0;
        outcome = stream.read_some(buffer, count);
        for (std::size_t i = 0; outcome == Outcome::Ok && i < count;) {
            const auto piece = sluice::harness::pattern_at(done + i, count - i);
            if (std::memcmp(piece.data(), buffer.data() + i, piece.size()) != 0)
                outcome = Outcome::Wrong;
            i += piece.size();
        }
        done += count;
        if (options.rate_mb != 0)
            std::this_thread::sleep_until(started + std::chrono::microseconds(done / options.rate_mb));
    }
    tally.add(outcome, greeting.name, greeting.client, started);
    return done == options.bytes;
}

// Runs `count` exchanges (0: until told to stop) on `concurrency` threads. True when all were begun.
template <class Exchange> bool run_workers(const Options& options, Exchange exchange)
{
    std::atomic<std::uint64_t> begun = 0;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < options.concurrency; ++i) {
        threads.emplace_back([&] {
            Stream kept;
            while (!stop_requested && (begun++ < options.count || options.count == 0)) {
                exchange(kept);
                if (options.interval_ms != 0)
                    std::this_thread::sleep_for(std::chrono::milliseconds(options.interval_ms));
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    return options.count == 0 || begun >= options.count;
}

bool run(const Options& options, Tally& tally, std::atomic<std::uint64_t>& lines)
{
    if (options.command == "hold") {
        std::vector<std::thread> threads;
        for (std::uint64_t i = 0; i < options.count; ++i)
            threads.emplace_back([&] { hold_one(options, tally, lines); });
        for (std::thread& thread : threads)
            thread.join();
        return true;
    }
    if (options.command == "download")
        return download(options, tally);
    if (options.command == "udp")
        return run_workers(options, [&](Stream&) { exchange_datagrams(options, tally); });
    if (options.command == "http")
        return run_workers(options, [&](Stream& kept) { request_once(options, kept, tally); });
    return run_workers(options, [&](Stream&) { connect_once(options, tally); });
}

void write_stats(const std::string& file, const Tally& tally, std::uint64_t lines)
{
    const std::string temporary = file + ".new";
    if (std::FILE* out = std::fopen(temporary.c_str(), "w")) {
        std::string text = tally.to_json(false);
        text.replace(0, 1, "{\"lines\":" + std::to_string(lines) + ",");
        std::fputs(text.c_str(), out);
        std::fclose(out);
        std::rename(temporary.c_str(), file.c_str());
    }
}

bool parse(int argc, char** argv, Options& options)
{
    if (argc < 4 || argc % 2 != 0)
        return false;
    options.command = argv[1];
    if (options.command == "hold")
        options.interval_ms = 50;
    for (int i = 2; i + 1 < argc; i += 2) {
        const std::string key = argv[i];
        const std::string value = argv[i + 1];
        const std::uint64_t number = std::strtoull(value.c_str(), nullptr, 10);

        // clang-format off: one option a line
        if (key == "--to") options.to = sluice::harness::parse_endpoint(value);
        else if (key == "-n") options.count = number;
        else if (key == "-c") options.concurrency = static_cast<unsigned>(std::min<std::uint64_t>(number, 1024));
        else if (key == "--timeout-ms") options.timeout_ms = static_cast<int>(number);
        else if (key == "--interval-ms") options.interval_ms = static_cast<unsigned>(number);
        else if (key == "--limit-s") options.limit_s = static_cast<unsigned>(number);
        else if (key == "--bytes") options.bytes = number;
        else if (key == "--rate-mb") options.rate_mb = number;
        else if (key == "--host") options.host = value;
        else if (key == "--path") options.path = value;
        else if (key == "--status") options.status = value;
        else if (key == "--keep") options.keep = value != "no";
        else if (key == "--stats") options.stats_file = value;
        else return false;
        // clang-format on
    }
    const bool known = options.command == "connections" || options.command == "hold" || options.command == "download" ||
                       options.command == "udp" || options.command == "http";
    return known && options.to.size != 0;
}

// Signals go to one thread that waits for them, so that they interrupt no system call of a worker.
void stop_on_signals(unsigned limit_s)
{
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGALRM})
        sigaddset(&signals, signal);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    ::alarm(limit_s);
    std::thread([signals] {
        int signal = 0;
        ::sigwait(&signals, &signal);
        timed_out = signal == SIGALRM;
        stop_requested = true;
    }).detach();
}

}  // namespace

int main(int argc, char** argv)
{
    Options options;
    if (!parse(argc, argv, options)) {
        std::fputs("usage: sluice-test-client connections|hold|download|udp|http --to ADDR:PORT [OPTION VALUE]...\n",
                   stderr);
        return 2;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    stop_on_signals(options.limit_s);
    Tally tally;
    std::atomic<std::uint64_t> lines = 0;
    std::jthread stats([&](const std::stop_token& token) {
        while (!options.stats_file.empty() && !token.stop_requested()) {
            write_stats(options.stats_file, tally, lines);
            std::this_thread::sleep_for(100ms);
        }
    });
    const bool complete = run(options, tally, lines) && !timed_out;
    std::fputs(tally.to_json(complete).c_str(), stdout);
    return complete && tally.failed() == 0 ? 0 : 1;
}
