// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/bytes.h"

#include <gtest/gtest.h>

#include "agent/proxy/http2_fields.h"
#include "agent/proxy/upstream.h"

namespace sluice::proxy {
namespace {

TEST(FreeMemory, LeavesNoneToTheTextOfAHead)
{
    ForwardedHead head;
    head.text.assign(32 * 1024, 'x');
    free_memory(head);
    EXPECT_EQ(head.text, "");
    EXPECT_EQ(head.text.capacity(), std::string().capacity());
}

TEST(FreeMemory, FieldsThatAreClearedAreAsNew)
{
    constexpr std::size_t kMost = 64 * 1024;
    Http2Fields fields;
    fields.add("x", std::string(2 * kMost, 'x'), kMost, 10);
    EXPECT_TRUE(fields.too_large());
    fields.clear();
    EXPECT_FALSE(fields.too_large());
    fields.add(":method", "GET", kMost, 10);
    EXPECT_EQ(fields.pseudo(Pseudo::Method), "GET");
}

}  // namespace
}  // namespace sluice::proxy
