// SPDX-License-Identifier: Apache-2.0
// The claims of io.h, on both kinds of loop.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <list>
#include <thread>

#include "agent/proxy/bound.h"
#include "base/clock.h"

namespace sluice::proxy {
namespace {

struct Probe final : Completion {
    int times = 0;
    int result = -EINPROGRESS;
    Buffer buffer;
    void complete(int value, Buffer received) override
    {
        ++times;
        result = value;
        buffer = std::move(received);
    }
};

struct Alarm final : Timer {
    std::uint64_t fired_ms = 0;
    void expire() override { fired_ms = monotonic_ms(); }
};

struct Pair {
    Pair()
    {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        ours.reset(ends[0]);
        theirs.reset(ends[1]);
    }
    UniqueFd ours, theirs;
};

class BothLoops : public testing::TestWithParam<IoKind> {
protected:
    void SetUp() override
    {
        auto made = Loop::make(GetParam());
        ASSERT_TRUE(made) << to_string(made.error());
        loop = *std::move(made);
    }
    void TearDown() override { loop->stop(); }
    // Turns until it holds, or the deadline is over. The alarm keeps a turn from waiting without end.
    template <class Condition> bool turn_until(Condition condition)
    {
        const std::uint64_t deadline = monotonic_ms() + 5'000;
        while (!condition() && monotonic_ms() < deadline) {
            Alarm tick;
            loop->arm(tick, 20);
            EXPECT_TRUE(loop->turn());
        }
        return condition();
    }
    std::unique_ptr<Loop> loop;
};

TEST_P(BothLoops, ReceivesBytesThenTheEnd)
{
    Pair pair;
    Probe probe;
    loop->recv(pair.ours.get(), probe);
    ASSERT_EQ(::write(pair.theirs.get(), "hello", 5), 5);
    ASSERT_TRUE(turn_until([&] { return probe.times == 1; }));
    EXPECT_EQ(probe.buffer.view(), "hello");
    probe.buffer.reset();
    loop->recv(pair.ours.get(), probe);
    pair.theirs.reset();
    ASSERT_TRUE(turn_until([&] { return probe.times == 2; }));
    EXPECT_EQ(probe.result, 0);
    loop->close(std::move(pair.ours));
}

TEST_P(BothLoops, ACancelledReceiveCompletesOnceAndNotAtOnce)
{
    Pair pair;
    Probe probe;
    loop->recv(pair.ours.get(), probe);
    loop->cancel(probe);
    loop->cancel(probe);
    EXPECT_EQ(probe.times, 0);
    ASSERT_TRUE(turn_until([&] { return probe.times == 1; }));
    EXPECT_EQ(probe.result, -ECANCELED);
    EXPECT_FALSE(probe.pending());
    loop->close(std::move(pair.ours));
}

// 520 clients that sent half a head once kept every other request of a worker waiting.
TEST_P(BothLoops, BuffersThatAreHeldDoNotStarveOthers)
{
    constexpr int kHolders = 2'000;
    std::list<Pair> pairs(kHolders);
    std::list<Probe> probes;
    for (const Pair& pair : pairs) {
        loop->recv(pair.ours.get(), probes.emplace_back());
        ASSERT_EQ(::write(pair.theirs.get(), "G", 1), 1);
    }
    EXPECT_TRUE(turn_until(
        [&] { return std::ranges::all_of(probes, [](const Probe& probe) { return probe.buffer.view() == "G"; }); }));
    for (Probe& probe : probes)
        probe.buffer.reset();
    for (Pair& pair : pairs)
        loop->close(std::move(pair.ours));
}

TEST_P(BothLoops, SendsAllOfItToAReaderThatIsSlow)
{
    Pair pair;
    Probe probe;
    const std::string text(3'000'000, 'x');
    const iovec span{const_cast<char*>(text.data()), text.size()};
    loop->send(pair.ours.get(), {&span, 1}, probe);
    std::size_t received = 0;
    std::string part(10'000, '\0');
    EXPECT_TRUE(turn_until([&] {
        const ssize_t count = ::recv(pair.theirs.get(), part.data(), part.size(), MSG_DONTWAIT);
        received += count > 0 ? static_cast<std::size_t>(count) : 0;
        if (count > 0)
            loop->wake();  // the next turn comes at once
        return received == text.size() && probe.times == 1;
    }));
    EXPECT_EQ(probe.result, 3'000'000);
    loop->close(std::move(pair.ours));
}

TEST_P(BothLoops, AWakeFromAnotherThreadIsSeen)
{
    int woken = 0;
    loop->set_on_wake([&] { ++woken; });
    std::thread other([&] { loop->wake(); });
    EXPECT_TRUE(turn_until([&] { return woken == 1; }));
    other.join();
}

TEST_P(BothLoops, TimersAreNeverEarlyAndADisarmedOneIsSilent)
{
    Alarm first;
    Alarm disarmed;
    Alarm later;
    const std::uint64_t start = monotonic_ms();
    loop->arm(first, 30);
    loop->arm(disarmed, 10);
    loop->arm(later, 20);
    loop->arm(later, 60);
    loop->disarm(disarmed);
    ASSERT_TRUE(turn_until([&] { return first.fired_ms != 0 && later.fired_ms != 0; }));
    EXPECT_GE(first.fired_ms, start + 30);
    EXPECT_GE(later.fired_ms, start + 60);
    EXPECT_EQ(disarmed.fired_ms, 0U);
}

INSTANTIATE_TEST_SUITE_P(Io, BothLoops, testing::Values(IoKind::IoUring, IoKind::Epoll),
                         [](const auto& kind) { return kind.param == IoKind::IoUring ? "io_uring" : "epoll"; });

}  // namespace
}  // namespace sluice::proxy
