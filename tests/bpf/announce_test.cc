// SPDX-License-Identifier: Apache-2.0
// loader::Announcer as a neighbour in another network namespace sees it: the frames themselves, and its caches.
#include "loader/announce.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

#include "loader/network.h"

namespace sluice::loader {
namespace {

using Clock = std::chrono::steady_clock;
using Frame = std::vector<std::uint8_t>;

constexpr const char* kNodeMac = "02:00:00:00:00:01";
constexpr const char* kOldMac = "02:00:00:00:00:99";

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

bool run(const std::string& command) { return std::system(command.c_str()) == 0; }

UniqueFd this_namespace() { return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }

// The node's namespace has "wire", the neighbour's has "far" and a socket that hears
// whatever arrives there. The thread is in the node's, but for what in_far() runs.
class AnnouncerOnAWire : public testing::Test {
protected:
    void SetUp() override
    {
        if (::geteuid() != 0)
            GTEST_SKIP() << "needs root: makes links";
        ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
        far_namespace_ = this_namespace();
        const std::string far_path =
            "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(far_namespace_.get());
        ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
        near_namespace_ = this_namespace();
        ASSERT_TRUE(run("ip link set lo up && ip link add wire address 02:00:00:00:00:01 type veth peer name far && "
                        "ip link set wire up && ip addr add 192.0.2.1/24 dev wire && "
                        "ip addr add 2001:db8::1/64 dev wire nodad"));
        ASSERT_TRUE(run("ip link set far netns " + far_path + " || exit 1"));
        in_far([&] {
            ASSERT_TRUE(run("ip link set far up && ip addr add 192.0.2.2/24 dev far && "
                            "ip addr add 2001:db8::2/64 dev far nodad"));
            heard_ = UniqueFd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
            sockaddr_ll on{};
            on.sll_family = AF_PACKET;
            on.sll_protocol = htons(ETH_P_ALL);
            on.sll_ifindex = static_cast<int>(::if_nametoindex("far"));
            ASSERT_EQ(::bind(heard_.get(), reinterpret_cast<const sockaddr*>(&on), sizeof on), 0);
        });
        auto made = Announcer::make();
        ASSERT_TRUE(made) << to_string(made.error());
        announcer_ = *std::move(made);
        wire_ = ::if_nametoindex("wire");
    }

    template <class Do> void in_far(Do work)
    {
        ASSERT_EQ(::setns(far_namespace_.get(), CLONE_NEWNET), 0);
        work();
        ASSERT_EQ(::setns(near_namespace_.get(), CLONE_NEWNET), 0);
    }

    // The next frame that is an announcement (ARP, or a neighbour advertisement to all nodes); empty when none comes.
    Frame next_announcement(int timeout_ms)
    {
        const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
        for (;;) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
            std::array<pollfd, 2> watched{pollfd{.fd = heard_.get(), .events = POLLIN, .revents = 0},
                                          pollfd{.fd = announcer_->due_fd(), .events = POLLIN, .revents = 0}};
            if (left <= 0 || ::poll(watched.data(), watched.size(), static_cast<int>(left)) <= 0)
                return {};
            if (watched[1].revents != 0) {
                const auto sent = announcer_->send_due();
                EXPECT_TRUE(sent) << to_string(sent.error());
            }
            if (watched[0].revents == 0)
                continue;
            Frame frame(2048);
            frame.resize(
                static_cast<std::size_t>(std::max<ssize_t>(0, ::recv(heard_.get(), frame.data(), frame.size(), 0))));
            const bool arp = frame.size() >= 42 && frame[12] == 0x08 && frame[13] == 0x06;
            const bool advertisement = frame.size() >= 86 && frame[12] == 0x86 && frame[13] == 0xdd &&
                                       frame[20] == IPPROTO_ICMPV6 && frame[54] == 136;
            if (arp || advertisement)
                return frame;
        }
    }

    std::string neighbour(const char* address)
    {
        std::string line(256, '\0');
        in_far([&] {
            FILE* out = ::popen((std::string("ip neigh show ") + address + " dev far").c_str(), "r");
            ASSERT_NE(out, nullptr);
            line.resize(::fread(line.data(), 1, line.size(), out));
            ::pclose(out);
        });
        return line;
    }

    UniqueFd far_namespace_, near_namespace_, heard_;
    std::unique_ptr<Announcer> announcer_;
    unsigned wire_ = 0;
};

std::string hex(const Frame& frame)
{
    std::string text;
    for (const std::uint8_t byte : frame) {
        char pair[3];
        std::snprintf(pair, sizeof pair, "%02x", byte);
        text += pair;
    }
    return text;
}

TEST_F(AnnouncerOnAWire, AnIpv4AddressIsAnnouncedAsRequestAndReplyThreeTimesInTwoSeconds)
{
    const auto start = Clock::now();
    ASSERT_TRUE(announcer_->announce(ip("192.0.2.77"), {wire_}));
    for (unsigned i = 0; i < kAnnouncements; ++i) {
        EXPECT_EQ(hex(next_announcement(3000)), "ffffffffffff0200000000010806"
                                                "0001080006040001020000000001c000024d000000000000c000024d");
        EXPECT_EQ(hex(next_announcement(3000)), "ffffffffffff0200000000010806"
                                                "0001080006040002020000000001c000024d020000000001c000024d");
    }
    const auto took = Clock::now() - start;
    EXPECT_GE(took, std::chrono::milliseconds(1900));
    EXPECT_LE(took, std::chrono::milliseconds(2900));
    EXPECT_TRUE(next_announcement(1200).empty()) << "a fourth time";
}

TEST_F(AnnouncerOnAWire, AnIpv6AddressIsAnnouncedByUnsolicitedAdvertisementsThreeTimesInTwoSeconds)
{
    const auto start = Clock::now();
    ASSERT_TRUE(announcer_->announce(ip("2001:db8::77"), {wire_}));
    // Version 6, 32 bytes, ICMPv6, hop limit 255; from the address to ff02::1; type 136 with Override alone, then the
    // target and its link address.
    const std::string expected = "33330000000102000000000186dd"
                                 "6000000000203aff20010db8000000000000000000000077ff020000000000000000000000000001"
                                 "8800f83e2000000020010db80000000000000000000000770201020000000001";
    for (unsigned i = 0; i < kAnnouncements; ++i) {
        EXPECT_EQ(hex(next_announcement(3000)), expected);
    }
    const auto took = Clock::now() - start;
    EXPECT_GE(took, std::chrono::milliseconds(1900));
    EXPECT_LE(took, std::chrono::milliseconds(2900));
    EXPECT_TRUE(next_announcement(1200).empty()) << "a fourth time";
}

TEST_F(AnnouncerOnAWire, ANeighbourThatKnowsTheOldOwnerLearnsTheNewOne)
{
    for (const char* address : {"192.0.2.77", "2001:db8::77"}) {
        in_far([&] {
            ASSERT_TRUE(run(std::string("ip neigh add ") + address + " lladdr " + kOldMac + " dev far nud reachable"));
        });
        ASSERT_NE(neighbour(address).find(kOldMac), std::string::npos) << neighbour(address);
        ASSERT_TRUE(announcer_->announce(ip(address), {wire_}));
        // An ARP entry is locked for a second after it was made: one of the later announcements counts.
        const auto deadline = Clock::now() + std::chrono::milliseconds(3000);
        while (neighbour(address).find(kNodeMac) == std::string::npos && Clock::now() < deadline)
            static_cast<void>(next_announcement(100));
        EXPECT_NE(neighbour(address).find(kNodeMac), std::string::npos) << neighbour(address);
        announcer_->withdraw(ip(address));
    }
}

TEST_F(AnnouncerOnAWire, AnAddressOnLoIsReachedByItsNeighbours)
{
    auto network = Network::make();
    ASSERT_TRUE(network);
    for (const char* address : {"192.0.2.77", "2001:db8::77"}) {
        ASSERT_TRUE((*network)->add_local_address(ip(address)));
        in_far([&] {
            ASSERT_TRUE(run(std::string("ip neigh add ") + address + " lladdr " + kOldMac + " dev far nud reachable"));
        });
        ASSERT_TRUE(announcer_->announce(ip(address), {wire_}));
        while (neighbour(address).find(kNodeMac) == std::string::npos && !next_announcement(1500).empty()) {
        }
        const SocketAddress service{ip(address), 9};
        sockaddr_storage name{};
        const socklen_t size = service.to_sockaddr(name);
        const auto* at = reinterpret_cast<const sockaddr*>(&name);
        const UniqueFd server(::socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(::bind(server.get(), at, size), 0);
        in_far([&] {
            const UniqueFd client(::socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            ASSERT_EQ(::sendto(client.get(), "x", 1, 0, at, size), 1);
        });
        pollfd arrives{.fd = server.get(), .events = POLLIN, .revents = 0};
        EXPECT_EQ(::poll(&arrives, 1, 3000), 1) << address;
    }
}

TEST_F(AnnouncerOnAWire, WhatIsWithdrawnIsNotRepeated)
{
    ASSERT_TRUE(announcer_->announce(ip("192.0.2.77"), {wire_}));
    EXPECT_FALSE(next_announcement(500).empty());
    EXPECT_FALSE(next_announcement(500).empty());
    announcer_->withdraw(ip("192.0.2.77"));
    EXPECT_TRUE(next_announcement(1300).empty());
}

TEST_F(AnnouncerOnAWire, ABadLinkIsAnErrorAndTheOthersAreServed)
{
    const auto gone = announcer_->announce(ip("192.0.2.77"), {4711, wire_});
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().errno_value, ENODEV);
    EXPECT_FALSE(next_announcement(500).empty());
    announcer_->withdraw(ip("192.0.2.77"));
    EXPECT_TRUE(announcer_->announce(ip("192.0.2.77"), {::if_nametoindex("lo")})) << "no Ethernet: passed over";
    announcer_->withdraw(ip("192.0.2.77"));
    ASSERT_TRUE(run("ip link set wire down"));
    const auto down = announcer_->announce(ip("192.0.2.77"), {wire_});
    ASSERT_FALSE(down);
    EXPECT_EQ(down.error().errno_value, ENETDOWN);
}

}  // namespace
}  // namespace sluice::loader
