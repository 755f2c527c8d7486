// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace sluice {
namespace {

TEST(Error, SaysWhatFailedOnWhatAndWhy)
{
    EXPECT_EQ(to_string(Error{ENOENT, "open", "/etc/x.yaml"}), "open /etc/x.yaml: No such file or directory");
    EXPECT_EQ(to_string(Error{0, "decode", "x.yaml"}), "decode x.yaml");
    EXPECT_EQ(to_string(Error{EPERM, "bpf", ""}), "bpf: Operation not permitted");
}

TEST(Error, HoldsAPositiveErrnoWhateverSignItCameWith)
{
    for (const int value : {EINVAL, -EINVAL}) {
        const Result<int> result = fail(value, "bpf", "map");
        EXPECT_EQ(result.error().errno_value, EINVAL);
    }
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFd, ClosesOnceAndOnlyWhatItOwns)
{
    int raw = -1;
    {
        UniqueFd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        raw = first.get();
        ASSERT_TRUE(first.valid());
        UniqueFd second(std::move(first));
        EXPECT_FALSE(first.valid());  // NOLINT(bugprone-use-after-move): that it is empty now is the claim
        EXPECT_EQ(second.get(), raw);
        EXPECT_TRUE(is_open(raw));
    }
    EXPECT_FALSE(is_open(raw));
    UniqueFd released(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = released.release();
    released.reset();
    EXPECT_TRUE(is_open(raw));
    const UniqueFd owner(raw);
}

}  // namespace
}  // namespace sluice
