// SPDX-License-Identifier: Apache-2.0
// The applier on the real maps, in a network namespace of the test's process.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/apply/apply.h"
#include "agent/apply/convert.h"
#include "loader/dataplane.h"

namespace sluice::apply {

inline plan::Plan plan_of(const std::vector<const char*>& endpoints, std::uint16_t port = 53,
                          plan::Protocol protocol = plan::Protocol::Udp)
{
    plan::Backend backend{.name = "default/s:1"};
    for (const char* endpoint : endpoints)
        backend.endpoints.push_back({*IpAddress::parse(endpoint), 9000});
    plan::Plan plan;
    plan.l4.push_back({.name = "default/g/l",
                       .addresses = {*IpAddress::parse("203.0.113.1")},
                       .port = port,
                       .protocol = protocol,
                       .route = "default/r",
                       .backends = {backend}});
    return plan;
}

class ApplierOnRealMaps : public testing::Test {
protected:
    static void SetUpTestSuite()
    {
        if (::geteuid() != 0)
            return;
        ASSERT_EQ(::unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
        // EINVAL: in a chroot "/" is no mount point.
        ASSERT_TRUE(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 || errno == EINVAL);
    }

    void SetUp() override
    {
        if (::geteuid() != 0)
            GTEST_SKIP() << "needs root: creates kernel maps";
        std::string pattern = std::filesystem::temp_directory_path() / "sluice_apply_XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        bpffs_ = pattern;
        auto opened = loader::Dataplane::open({.bpffs = bpffs_, .allow_xdp = false});
        ASSERT_TRUE(opened) << to_string(opened.error());
        dataplane_ = *std::move(opened);
        auto network = loader::Network::make();
        ASSERT_TRUE(network) << to_string(network.error());
        network_ = *std::move(network);
    }

    void TearDown() override
    {
        if (dataplane_) {
            EXPECT_TRUE(dataplane_->remove());
        }
        dataplane_.reset();
        (void)::umount2(bpffs_.c_str(), MNT_DETACH);
        std::error_code ignored;
        std::filesystem::remove(bpffs_, ignored);
    }

    [[nodiscard]] Applier make_applier()
    {
        auto made = Applier::make(dataplane_->tables(), *network_, [this](const std::vector<unsigned>& links) {
            attached_ = links;
            return Result<void>{};
        });
        EXPECT_TRUE(made);
        return *std::move(made);
    }
    [[nodiscard]] static L4ListenerState apply(Applier& applier, const plan::Plan& plan)
    {
        const auto outcome = applier.apply(plan, {{*IpAddress::parse("192.0.2.1")}, {}});
        EXPECT_TRUE(outcome) << (outcome ? "" : to_string(outcome.error()));
        return outcome && !outcome->l4.empty() ? outcome->l4.front() : L4ListenerState{};
    }
    [[nodiscard]] std::uint32_t generation() const { return (**dataplane_->tables().config.get(0)).generation; }
    using Held = std::vector<std::pair<std::uint32_t, sl_backend>>;
    [[nodiscard]] Held held() const
    {
        auto entries = dataplane_->tables().backends.entries();
        EXPECT_TRUE(entries);
        return entries ? *std::move(entries) : Held{};
    }
    // (last byte of the address, draining) of every backend, sorted.
    [[nodiscard]] std::vector<std::pair<int, bool>> backends() const
    {
        std::vector<std::pair<int, bool>> result;
        for (const auto& [id, backend] : held())
            result.emplace_back(from_words(backend.addr_be).bytes()[15], (backend.flags & SL_BACKEND_DRAINING) != 0);
        std::ranges::sort(result);
        return result;
    }
    using Backends = std::vector<std::pair<int, bool>>;

    [[nodiscard]] sl_backend backend(const char* address) const
    {
        for (const auto& [id, backend] : held())
            if (from_words(backend.addr_be) == *IpAddress::parse(address))
                return backend;
        ADD_FAILURE() << address << " is not in the table";
        return {};
    }

    std::string bpffs_;
    std::vector<unsigned> attached_;  // the links by which backends answer, as of the last apply
    std::unique_ptr<loader::Dataplane> dataplane_;
    std::unique_ptr<loader::Network> network_;
};

}  // namespace sluice::apply
