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
    // How many turns it takes until an alarm of 50 ms: many where the wait spins.
    int turns_of_an_idle_loop()
    {
        Alarm alarm;
        loop->arm(alarm, 50);
        int turns = 0;
        while (alarm.fired_ms == 0 && turns < 1'000) {
            EXPECT_TRUE(loop->turn());
            ++turns;
        }
        return turns;
    }
    std::unique_ptr<Loop> loop;
};

TEST_P(BothLoops, ReceivesBytesThenTheEnd)
{
    Pair pair;
    Probe probe;
    loop->recv(pair.ours.get(), probe, Amount::Usual);
    ASSERT_EQ(::write(pair.theirs.get(), "hello", 5), 5);
    ASSERT_TRUE(turn_until([&] { return probe.times == 1; }));
    EXPECT_EQ(probe.buffer.view(), "hello");
    probe.buffer.reset();
    loop->recv(pair.ours.get(), probe, Amount::Usual);
    pair.theirs.reset();
    ASSERT_TRUE(turn_until([&] { return probe.times == 2; }));
    EXPECT_EQ(probe.result, 0);
    loop->close(std::move(pair.ours));
}

TEST_P(BothLoops, WhatComesWhileNobodyReadsIsReadLaterAndTheEndAfterIt)
{
    Pair pair;
    Probe probe;
    loop->recv(pair.ours.get(), probe, Amount::Usual);
    ASSERT_EQ(::write(pair.theirs.get(), "one", 3), 3);
    ASSERT_TRUE(turn_until([&] { return probe.times == 1; }));
    ASSERT_EQ(::write(pair.theirs.get(), "two", 3), 3);
    EXPECT_LT(turns_of_an_idle_loop(), 20);
    ASSERT_EQ(::write(pair.theirs.get(), "three", 5), 5);
    pair.theirs.reset();
    EXPECT_LT(turns_of_an_idle_loop(), 20);
    probe.buffer.reset();
    loop->recv(pair.ours.get(), probe, Amount::Usual);
    EXPECT_EQ(probe.times, 1);
    ASSERT_TRUE(turn_until([&] { return probe.times == 2; }));
    EXPECT_EQ(probe.buffer.view(), "twothree");
    probe.buffer.reset();
    loop->recv(pair.ours.get(), probe, Amount::Usual);
    ASSERT_TRUE(turn_until([&] { return probe.times == 3; }));
    EXPECT_EQ(probe.result, 0);
    loop->close(std::move(pair.ours));
}

TEST_P(BothLoops, MoreThanABufferHoldsArrivesInSeveral)
{
    Pair pair;
    Probe probe;
    const std::string text(3 * kBufferBytes, 'x');
    ASSERT_EQ(::write(pair.theirs.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    std::size_t received = 0;
    for (int i = 1; received < text.size(); ++i) {
        loop->recv(pair.ours.get(), probe, Amount::Usual);
        ASSERT_TRUE(turn_until([&] { return probe.times == i; }));
        ASSERT_GT(probe.result, 0);
        EXPECT_LE(probe.buffer.size(), kBufferBytes);
        received += probe.buffer.size();
        probe.buffer.reset();
    }
    EXPECT_EQ(received, text.size());
    loop->close(std::move(pair.ours));
}

TEST_P(BothLoops, BulkArrivesInLargerBuffersWhileThereAreSome)
{
    Pair pair;
    const std::string text(2 * kBufferBytes, 'x');
    std::list<Probe> probes;  // each keeps its buffer
    int larger = 0;
    for (int i = 0; i < 200; ++i) {
        Probe& probe = probes.emplace_back();
        ASSERT_EQ(::write(pair.theirs.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
        for (std::size_t left = text.size(); left > 0;) {
            const int before = probe.times;
            loop->recv(pair.ours.get(), probe, Amount::Bulk);
            ASSERT_TRUE(turn_until([&] { return probe.times > before; }));
            ASSERT_GT(probe.result, 0);
            left -= probe.buffer.size();
        }
        larger += probe.result == static_cast<int>(text.size()) ? 1 : 0;
    }
    EXPECT_EQ(larger, 128);
    probes.clear();
    loop->close(std::move(pair.ours));
}

TEST_P(BothLoops, AReceiveWithoutABufferWaitsForOneThatComesBack)
{
    Pair pair;
    std::list<Probe> holders;
    bool is_served = true;
    while (is_served && holders.size() < 20'000) {
        Probe& probe = holders.emplace_back();
        ASSERT_EQ(::write(pair.theirs.get(), "x", 1), 1);
        loop->recv(pair.ours.get(), probe, Amount::Usual);
        for (int i = 0; i < 3 && probe.times == 0; ++i) {
            Alarm tick;
            loop->arm(tick, 10);
            ASSERT_TRUE(loop->turn());
        }
        is_served = probe.times == 1;
    }
    ASSERT_FALSE(is_served);
    EXPECT_GT(holders.size(), 15'000U);
    EXPECT_LT(turns_of_an_idle_loop(), 20);
    holders.front().buffer.reset();
    EXPECT_TRUE(turn_until([&] { return holders.back().times == 1; }));
    EXPECT_EQ(holders.back().buffer.view(), "x");
    holders.clear();
    loop->close(std::move(pair.ours));
}

TEST_P(BothLoops, AWaitEndsAtOnceWhileADatagramIsUnread)
{
    int ends[2] = {-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    ASSERT_EQ(::write(theirs.get(), "x", 1), 1);
    Probe probe;
    for (int i = 1; i <= 3; ++i) {
        loop->wait_readable(ours.get(), probe);
        ASSERT_TRUE(turn_until([&] { return probe.times == i; }));
        EXPECT_EQ(probe.result, 0);
        EXPECT_LT(turns_of_an_idle_loop(), 20);
    }
    loop->close(std::move(ours));
}

TEST_P(BothLoops, ACancelledReceiveCompletesOnceAndNotAtOnce)
{
    Pair pair;
    Probe probe;
    loop->recv(pair.ours.get(), probe, Amount::Usual);
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
        loop->recv(pair.ours.get(), probes.emplace_back(), Amount::Usual);
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
    EXPECT_FALSE(loop->send(pair.ours.get(), {&span, 1}, probe));
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

// Either at once, and then nobody is called, or by one completion.
TEST_P(BothLoops, ASendIsTakenOnceAndAFailedOneIsTold)
{
    Pair pair;
    Probe probe;
    const std::string text = "x";
    const iovec span{const_cast<char*>(text.data()), text.size()};
    const bool is_sent = loop->send(pair.ours.get(), {&span, 1}, probe);
    EXPECT_EQ(is_sent, GetParam() == IoKind::Epoll);
    EXPECT_EQ(probe.pending(), !is_sent);
    EXPECT_TRUE(turn_until([&] { return !probe.pending(); }));
    EXPECT_EQ(probe.times, is_sent ? 0 : 1);
    EXPECT_EQ(probe.result, is_sent ? -EINPROGRESS : 1);
    char seen = 0;
    EXPECT_EQ(::recv(pair.theirs.get(), &seen, 1, MSG_DONTWAIT), 1);
    EXPECT_EQ(seen, 'x');
    pair.theirs.reset();
    Probe refused;
    EXPECT_FALSE(loop->send(pair.ours.get(), {&span, 1}, refused));
    EXPECT_TRUE(turn_until([&] { return refused.times == 1; }));
    EXPECT_EQ(refused.result, -EPIPE);
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
