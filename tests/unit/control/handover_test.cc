// SPDX-License-Identifier: Apache-2.0
#include "agent/control/handover.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
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
    EXPECT_EQ(wait(second), Event::Succeeded);
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

// A process of another user that listens at the agents' socket until it is destroyed.
class Squatter {
public:
    explicit Squatter(const std::string& name)
    {
        int ready[2];
        EXPECT_EQ(pipe(ready), 0);
        pid_ = fork();
        if (pid_ == 0) {
            sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
            name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
            const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
            const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
            const bool listens = setuid(65534) == 0 &&
                                 bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0 && listen(fd, 4) == 0;
            [[maybe_unused]] const ssize_t sent = write(ready[1], listens ? "y" : "n", 1);
            pause();
            _exit(0);
        }
        char answer = 0;
        EXPECT_EQ(read(ready[0], &answer, 1), 1);
        EXPECT_EQ(answer, 'y');
        close(ready[0]);
        close(ready[1]);
    }
    ~Squatter()
    {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    Squatter(const Squatter&) = delete;
    Squatter& operator=(const Squatter&) = delete;

private:
    pid_t pid_ = 0;
};

TEST_F(HandoverTest, AnotherUsersSocketStopsNobodyAndIsToldNothing)
{
    if (geteuid() != 0)
        GTEST_SKIP() << "needs root to be another user";
    const Squatter squatter("sluice:/test/" + std::to_string(getpid()));
    Handover one = make();
    EXPECT_TRUE(one.take());
    EXPECT_TRUE(one.in_control());
}

TEST_F(HandoverTest, AScopeThatNoSocketCanBeNamedByIsRefused)
{
    EXPECT_FALSE(Handover::make("/" + std::string(200, 'x')));
}

}  // namespace
}  // namespace sluice::control
