// SPDX-License-Identifier: Apache-2.0
#include "base/ip_address.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(IpAddress, ReadsBothFamiliesAndWritesThemBack)
{
    struct Row {
        const char* text;
        const char* written;
        bool v4, any, loopback, link_local, multicast;
    };
    const Row rows[] = {
        {"192.0.2.1", "192.0.2.1", true, false, false, false, false},
        {"0.0.0.0", "0.0.0.0", true, true, false, false, false},
        {"127.255.255.254", "127.255.255.254", true, false, true, false, false},
        {"169.254.169.254", "169.254.169.254", true, false, false, true, false},
        {"224.0.0.1", "224.0.0.1", true, false, false, false, true},
        {"239.255.255.255", "239.255.255.255", true, false, false, false, true},
        {"240.0.0.1", "240.0.0.1", true, false, false, false, false},
        {"2001:db8:0:0::1", "2001:db8::1", false, false, false, false, false},
        {"::", "::", false, true, false, false, false},
        {"::1", "::1", false, false, true, false, false},
        {"fe80::1", "fe80::1", false, false, false, true, false},
        {"febf::1", "febf::1", false, false, false, true, false},
        {"fec0::1", "fec0::1", false, false, false, false, false},
        {"ff02::1", "ff02::1", false, false, false, false, true},
        {"::ffff:192.0.2.1", "192.0.2.1", true, false, false, false, false},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.text);
        const auto address = IpAddress::parse(row.text);
        ASSERT_TRUE(address.has_value());
        EXPECT_EQ(address->to_string(), row.written);
        EXPECT_EQ(address->is_v4(), row.v4);
        EXPECT_EQ(address->is_any(), row.any);
        EXPECT_EQ(address->is_loopback(), row.loopback);
        EXPECT_EQ(address->is_link_local(), row.link_local);
        EXPECT_EQ(address->is_multicast(), row.multicast);
    }
}

TEST(IpAddress, RefusesWhatIsNoAddress)
{
    using namespace std::string_view_literals;
    for (const std::string_view text :
         {""sv, "192.0.2"sv, "192.0.2.256"sv, "192.0.2.1/24"sv, "192.0.2.1:80"sv, "[::1]"sv, "fe80::1%lo"sv,
          " 192.0.2.1"sv, "192.0.2.1\0"sv, "::1::"sv, "localhost"sv})
        EXPECT_FALSE(IpAddress::parse(text).has_value()) << text;
}

TEST(SocketAddress, SurvivesTheSocketForms)
{
    for (const char* text : {"192.0.2.1", "2001:db8::1"}) {
        const SocketAddress address{*IpAddress::parse(text), 8080};
        sockaddr_storage storage{};
        const socklen_t length = address.to_sockaddr(storage);
        EXPECT_EQ(length, address.address.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
        EXPECT_EQ(SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage)), address);
        const sockaddr_in6 dual = address.to_sockaddr6();
        EXPECT_EQ(SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&dual)), address);
    }
    EXPECT_EQ((SocketAddress{*IpAddress::parse("192.0.2.1"), 80}.to_string()), "192.0.2.1:80");
    EXPECT_EQ((SocketAddress{*IpAddress::parse("2001:db8::1"), 80}.to_string()), "[2001:db8::1]:80");
    sockaddr_storage other{};
    other.ss_family = AF_UNIX;
    EXPECT_FALSE(SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&other)).has_value());
}

}  // namespace
}  // namespace sluice
