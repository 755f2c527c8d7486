// SPDX-License-Identifier: Apache-2.0
#include "agent/control/handover.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <optional>
#include <thread>

namespace sluice::control {
namespace {

using Event = Handover::Event;

class HandoverTest : public testing::Test {
protected:
    Handover make() const { return *Handover::make("/test/" + std::to_string(getpid())); }

    static Event wait(Handover& handover)
    {
        pollfd ready{.fd = handover.fd(), .events = POLLIN, .revents = 0};
        EXPECT_EQ(::poll(&ready, 1, 5'000), 1);
        return handover.poll();
    }

    // `from` has control and `to` asks for it.
    static void pass(Handover& from, Handover& to)
    {
        std::thread asking([&] { EXPECT_TRUE(to.take()); });
        EXPECT_EQ(wait(from), Event::Asked);
        EXPECT_TRUE(from.in_control());
        from.give();
        asking.join();
        EXPECT_FALSE(from.in_control());
        EXPECT_TRUE(to.in_control());
    }
};

TEST_F(HandoverTest, WithoutAnotherAgentControlIsHadAtOnce)
{
    Handover one = make();
    EXPECT_FALSE(one.in_control());
    EXPECT_TRUE(one.take());
    EXPECT_TRUE(one.in_control());
    EXPECT_EQ(one.poll(), Event::None);
}

TEST_F(HandoverTest, ASuccessorIsGivenControlWhenItAsks)
{
    Handover first = make();
    ASSERT_TRUE(first.take());
    Handover second = make();
    pass(first, second);
    EXPECT_EQ(first.poll(), Event::None);
}

TEST_F(HandoverTest, TheOneThatStandsByHasControlAgainWhenItsSuccessorEnds)
{
    Handover first = make();
    ASSERT_TRUE(first.take());
    {
        Handover second = make();
        pass(first, second);
    }
    EXPECT_EQ(wait(first), Event::Alone);
    EXPECT_TRUE(first.take());
    EXPECT_TRUE(first.in_control());
}

TEST_F(HandoverTest, TheEndOfTheOneThatStandsByIsNoMatterToItsSuccessor)
{
    std::optional<Handover> first = make();
    ASSERT_TRUE(first->take());
    Handover second = make();
    pass(*first, second);
    first.reset();
    EXPECT_EQ(second.poll(), Event::None);
    Handover third = make();
    pass(second, third);
}

TEST_F(HandoverTest, AnAgentThatEndsInsteadOfAnsweringLeavesControlToWhoAsked)
{
    std::optional<Handover> first = make();
    ASSERT_TRUE(first->take());
    Handover second = make();
    std::thread asking([&] { EXPECT_TRUE(second.take()); });
    EXPECT_EQ(wait(*first), Event::Asked);
    first.reset();
    asking.join();
    EXPECT_TRUE(second.in_control());
}

TEST_F(HandoverTest, AnotherScopeIsAnotherNode)
{
    Handover one = make();
    Handover other = *Handover::make("/elsewhere/" + std::to_string(getpid()));
    EXPECT_TRUE(one.take());
    EXPECT_TRUE(other.take());
}

TEST_F(HandoverTest, AScopeThatNoSocketCanBeNamedByIsRefused)
{
    EXPECT_FALSE(Handover::make("/" + std::string(200, 'x')));
}

}  // namespace
}  // namespace sluice::control
