// SPDX-License-Identifier: Apache-2.0
// For what a proxy must do with several events of one turn, in an order that the test gives.
#pragma once

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/harness/proxy_fixture.h"

namespace sluice::test {

// Holds the proxy's one worker where it waits, in a signal handler, while it lives: what peers do meanwhile comes to
// the worker in one turn, in their order.
class HeldWorker {
public:
    HeldWorker()
    {
        struct sigaction hold{};
        hold.sa_handler = [](int) {
            const int error = errno;
            std::uint64_t count = 1;
            (void)!::write(held_, &count, sizeof count);
            while (::read(release_, &count, sizeof count) < 0 && errno == EINTR) {
                // an interruption by the loop's kernel side
            }
            errno = error;
        };
        EXPECT_EQ(sigaction(SIGUSR1, &hold, &before_), 0);
        EXPECT_EQ(syscall(SYS_tgkill, getpid(), worker(), SIGUSR1), 0);
        EXPECT_TRUE(readable(held_)) << "the worker does not take the signal";
    }
    HeldWorker(const HeldWorker&) = delete;
    HeldWorker& operator=(const HeldWorker&) = delete;
    ~HeldWorker()
    {
        const std::uint64_t count = 1;
        EXPECT_EQ(::write(release_, &count, sizeof count), static_cast<ssize_t>(sizeof count));
        std::uint64_t seen = 0;
        EXPECT_EQ(::read(held_, &seen, sizeof seen), static_cast<ssize_t>(sizeof seen));
        EXPECT_EQ(sigaction(SIGUSR1, &before_, nullptr), 0);
    }

private:
    static pid_t worker()
    {
        for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
            std::string name;
            std::ifstream(task.path() / "comm") >> name;
            if (name == "sluice-w0")
                return static_cast<pid_t>(std::stol(task.path().filename()));
        }
        ADD_FAILURE() << "no thread is called sluice-w0";
        return 0;
    }
    static inline const int held_ = eventfd(0, EFD_CLOEXEC);
    static inline const int release_ = eventfd(0, EFD_CLOEXEC);
    struct sigaction before_{};
};

}  // namespace sluice::test
