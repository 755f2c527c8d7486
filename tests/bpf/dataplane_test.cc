// SPDX-License-Identifier: Apache-2.0
// The loader's life: open, attach, adopt, remove. In a network and mount namespace of the test's process.
#include "loader/dataplane.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/unique_fd.h"

namespace sluice::loader {
namespace {

namespace fs = std::filesystem;

class DataplaneLife : public ::testing::Test {
protected:
    static void SetUpTestSuite()
    {
        if (::geteuid() != 0)
            return;
        ASSERT_EQ(::unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
        // EINVAL: in a chroot "/" is no mount point. A mount that the test makes may then be seen outside as well, as
        // is its end: the teardown unmounts it.
        ASSERT_TRUE(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 || errno == EINVAL);
    }

    void SetUp() override
    {
        if (::geteuid() != 0)
            GTEST_SKIP() << "needs root: loads and attaches kernel programs";
        std::string pattern = fs::temp_directory_path() / "sluice_dataplane_XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        options_.bpffs = pattern;
        ASSERT_EQ(std::system("ip link add wire type veth peer name wire_far && ip link set dev wire up && "
                              "ip link set dev wire_far up && ip link set dev lo up"),
                  0);
        wire_ = ::if_nametoindex("wire");
        far_ = ::if_nametoindex("wire_far");
    }

    void TearDown() override
    {
        if (options_.bpffs.empty() || ::geteuid() != 0)
            return;
        (void)std::system("ip link del wire 2>/dev/null");
        (void)::umount2(options_.bpffs.c_str(), MNT_DETACH);
        std::error_code error;
        fs::remove_all(options_.bpffs, error);
    }

    [[nodiscard]] std::unique_ptr<Dataplane> open() const
    {
        auto opened = Dataplane::open(options_);
        if (!opened) {
            ADD_FAILURE() << to_string(opened.error());
            return nullptr;
        }
        return std::move(*opened);
    }

    [[nodiscard]] static bool has(const Dataplane& dataplane, Hook hook, unsigned ifindex)
    {
        return std::ranges::any_of(dataplane.attachments(), [&](const Attachment& attachment) {
            return attachment.hook == hook && attachment.ifindex == ifindex;
        });
    }

    DataplaneOptions options_;
    unsigned wire_ = 0;
    unsigned far_ = 0;
};

sl_listener_key some_listener()
{
    sl_listener_key key{};
    key.addr_be[2] = htonl(0xffff);
    key.addr_be[3] = htonl(0xc0000201);
    key.port_be = htons(80);
    key.proto = IPPROTO_TCP;
    return key;
}

TEST_F(DataplaneLife, ProbeSucceedsForRoot) { EXPECT_TRUE(probe()); }

TEST_F(DataplaneLife, AReopenedDataplaneFindsItsTablesAndLinksAsTheyWere)
{
    const std::vector<std::uint32_t> slots(SL_RING_SLOTS, 5);
    std::uint32_t seed = 0;
    {
        const auto first = open();
        ASSERT_TRUE(first);
        ASSERT_TRUE(first->tables().listeners.set(some_listener(), {3, SL_SERVED_BY_KERNEL, {}}));
        ASSERT_TRUE(first->tables().rings.set(3, std::span<const std::uint32_t, SL_RING_SLOTS>(slots)));
        seed = first->tables().config.get(0).value()->seed[0];
        ASSERT_TRUE(first->attach({wire_}, {far_}));
    }
    const auto second = open();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->tables().listeners.get(some_listener()).value()->id, 3U);
    EXPECT_EQ(second->tables().listeners.entries().value().size(), 1U);
    EXPECT_EQ(second->tables().rings.ids().value(), std::vector<std::uint32_t>{3});
    EXPECT_EQ(second->tables().rings.get(3).value(), slots);
    EXPECT_EQ(second->tables().config.get(0).value()->seed[0], seed);
    EXPECT_TRUE(has(*second, Hook::Tcx, wire_));
    EXPECT_TRUE(has(*second, Hook::Tcx, far_));
    EXPECT_TRUE(second->attach({wire_}, {far_}));
    EXPECT_TRUE(second->remove());
}

TEST_F(DataplaneLife, ARingThatTheTablesCannotHoldStopsNoOtherOfItsBatch)
{
    const auto dataplane = open();
    ASSERT_TRUE(dataplane);
    const maps::Rings& rings = dataplane->tables().rings;
    std::vector<std::vector<std::uint32_t>> slots;
    std::vector<maps::Rings::NewRing> wanted;
    for (std::uint32_t i = 0; i < 600; i++)  // more than go into one call
        slots.emplace_back(SL_RING_SLOTS, i);
    for (std::uint32_t i = 0; i < slots.size(); i++) {
        const bool is_beyond = i == 0 || i == 100 || i == 101 || i == 599;
        wanted.push_back(
            {is_beyond ? SL_LISTENER_IDS_MAX + i : i, std::span<const std::uint32_t, SL_RING_SLOTS>(slots[i])});
    }
    const auto results = rings.set_many(wanted);
    ASSERT_EQ(results.size(), wanted.size());
    for (std::uint32_t i = 0; i < wanted.size(); i++) {
        const bool fits = wanted[i].listener_id < SL_LISTENER_IDS_MAX;
        EXPECT_EQ(results[i].has_value(), fits) << i;
        if (fits) {
            EXPECT_EQ(rings.get(i).value(), slots[i]) << i;
        }
    }
    EXPECT_EQ(rings.ids().value().size(), slots.size() - 4);
    EXPECT_TRUE(dataplane->remove());
}

TEST_F(DataplaneLife, WhatAnAgentOfAnotherLayoutPinnedIsDetachedAndRemoved)
{
    const std::string current = options_.bpffs + "/sluice/v" + std::to_string(SL_LAYOUT_VERSION);
    const std::string other = options_.bpffs + "/sluice/v0";
    options_.require_xdp = true;  // of which a link takes one program only
    {
        const auto before = open();
        ASSERT_TRUE(before);
        ASSERT_TRUE(before->attach({wire_}, {}));
    }
    ASSERT_EQ(::rename(current.c_str(), other.c_str()), 0);
    const auto after = open();
    ASSERT_TRUE(after);
    EXPECT_FALSE(fs::exists(other));
    EXPECT_TRUE(after->attach({wire_}, {}));
    EXPECT_TRUE(has(*after, Hook::Xdp, wire_));
    EXPECT_TRUE(after->remove());
}

TEST_F(DataplaneLife, AttachMakesTheAttachmentsEqualToTheSet)
{
    const auto dataplane = open();
    ASSERT_TRUE(dataplane);
    ASSERT_TRUE(dataplane->attach({wire_}, {far_}));
    EXPECT_EQ(dataplane->attachments().size(), 2U);
    ASSERT_TRUE(dataplane->attach({}, {far_}));
    EXPECT_FALSE(has(*dataplane, Hook::Tcx, wire_));
    EXPECT_TRUE(has(*dataplane, Hook::Tcx, far_));
    EXPECT_TRUE(dataplane->remove());
}

TEST_F(DataplaneLife, XdpOnAVethNeedsToBeRequired)
{
    {
        const auto dataplane = open();
        ASSERT_TRUE(dataplane);
        ASSERT_TRUE(dataplane->attach({wire_}, {}));
        EXPECT_FALSE(has(*dataplane, Hook::Xdp, wire_));
    }
    options_.require_xdp = true;
    const auto dataplane = open();
    ASSERT_TRUE(dataplane);
    ASSERT_TRUE(dataplane->attach({wire_}, {}));
    EXPECT_TRUE(has(*dataplane, Hook::Xdp, wire_));
    EXPECT_TRUE(has(*dataplane, Hook::Tcx, wire_));
    EXPECT_EQ(std::system("ip -d link show dev wire | grep -q 'prog/xdp .*name sl_xdp_ingress'"), 0);
    EXPECT_TRUE(dataplane->remove());
    EXPECT_NE(std::system("ip -d link show dev wire | grep -q prog/xdp"), 0);
}

TEST_F(DataplaneLife, RequiredXdpFailsWhereTheDriverHasNone)
{
    options_.require_xdp = true;
    const auto dataplane = open();
    ASSERT_TRUE(dataplane);
    const auto attached = dataplane->attach({::if_nametoindex("lo")}, {});
    ASSERT_FALSE(attached);
    EXPECT_EQ(attached.error().errno_value, EOPNOTSUPP) << to_string(attached.error());
    EXPECT_TRUE(dataplane->remove());
}

TEST_F(DataplaneLife, AVanishedLinkIsForgottenAndItsReturnIsServed)
{
    {
        const auto dataplane = open();
        ASSERT_TRUE(dataplane);
        ASSERT_TRUE(dataplane->attach({wire_}, {}));
        ASSERT_EQ(std::system("ip link del wire"), 0);
        ASSERT_EQ(std::system(("ip link add wire index " + std::to_string(wire_) +
                               " type veth peer name wire_far && ip link set dev wire up")
                                  .c_str()),
                  0);
        ASSERT_TRUE(dataplane->attach({wire_}, {}));
        EXPECT_TRUE(has(*dataplane, Hook::Tcx, wire_));
        ASSERT_EQ(std::system("ip link del wire"), 0);
    }
    const auto reopened = open();
    ASSERT_TRUE(reopened);
    EXPECT_TRUE(reopened->attachments().empty());
    EXPECT_TRUE(reopened->remove());
}

TEST_F(DataplaneLife, AForeignMapUnderOurNameIsRefusedByName)
{
    {
        const auto dataplane = open();
        ASSERT_TRUE(dataplane);
    }
    const fs::path pins = fs::path(options_.bpffs) / "sluice" / ("v" + std::to_string(SL_LAYOUT_VERSION));
    ASSERT_TRUE(fs::remove(pins / SL_MAP_FLOWS));
    ASSERT_EQ(std::system(("bpftool map create " + (pins / SL_MAP_FLOWS).string() +
                           " type hash key 4 value 4 entries 4 name other")
                              .c_str()),
              0);
    const auto opened = Dataplane::open(options_);
    ASSERT_FALSE(opened);
    EXPECT_NE(to_string(opened.error()).find(SL_MAP_FLOWS), std::string::npos) << to_string(opened.error());
}

TEST_F(DataplaneLife, ADirectoryWithFilesIsNotMountedOver)
{
    ASSERT_TRUE(fs::create_directory(options_.bpffs + "/in_use"));
    const auto opened = Dataplane::open(options_);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().errno_value, ENOTEMPTY);
}

TEST_F(DataplaneLife, RemoveLeavesNothingAndCanBeRepeated)
{
    const auto dataplane = open();
    ASSERT_TRUE(dataplane);
    const UniqueFd listening(::socket(AF_INET6, SOCK_STREAM, 0));
    ASSERT_EQ(::listen(listening.get(), 1), 0);
    ASSERT_TRUE(dataplane->attach({wire_}, {}));
    ASSERT_TRUE(dataplane->steer(listening.get()));
    EXPECT_TRUE(has(*dataplane, Hook::SkLookup, 0));
    EXPECT_FALSE(fs::is_empty(options_.bpffs));
    EXPECT_TRUE(dataplane->remove());
    EXPECT_TRUE(dataplane->remove());
    EXPECT_TRUE(dataplane->attachments().empty());
    EXPECT_TRUE(fs::is_empty(options_.bpffs));
}

}  // namespace
}  // namespace sluice::loader
