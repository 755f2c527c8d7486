// SPDX-License-Identifier: Apache-2.0
#include "base/ip_prefix.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(IpPrefix, HoldsTheAddressesThatShareItsFirstBits)
{
    const struct {
        const char* prefix;
        const char* address;
        bool contained;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.77/24", "192.0.2.1", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::/0", "2001:db8::1", true},
        {"2001:db8::1", "2001:db8::1", true},
    };
    for (const auto& row : rows) {
        const auto prefix = IpPrefix::parse(row.prefix);
        ASSERT_TRUE(prefix) << row.prefix;
        EXPECT_EQ(prefix->contains(*IpAddress::parse(row.address)), row.contained) << row.prefix << " " << row.address;
    }
}

TEST(IpPrefix, IsNothingElse)
{
    for (const char* text : {"", "/", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/8x", "192.0.2.0/ 8",
                             "2001:db8::/129", "example.com/8", "192.0.2.0/24/24", "192.0.2/24"})
        EXPECT_FALSE(IpPrefix::parse(text)) << text;
}

}  // namespace
}  // namespace sluice
