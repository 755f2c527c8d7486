// SPDX-License-Identifier: Apache-2.0
// Which socket a connection reaches: real sockets behind the attached program, on loopback.
#include <fcntl.h>
#include <sys/socket.h>

#include "base/unique_fd.h"
#include "tests/bpf/rig.h"

namespace sluice::test {
namespace {

class SkLookup : public Rig {
protected:
    void SetUp() override
    {
        Rig::SetUp();
        if (IsSkipped() || HasFatalFailure())
            return;
        ASSERT_EQ(std::system("ip addr replace 192.0.2.1/32 dev lo && ip addr replace 2001:db8::1/128 dev lo nodad"),
                  0);
        const UniqueFd netns(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
        link_.reset(
            bpf_link_create(bpf_program__fd(skeleton_->progs.sl_sk_lookup), netns.get(), BPF_SK_LOOKUP, nullptr));
        ASSERT_TRUE(link_.valid());
        listening_.reset(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int off = 0;
        ASSERT_EQ(::setsockopt(listening_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
        ASSERT_EQ(::listen(listening_.get(), 16), 0);
        const std::uint32_t slot = SL_SOCKET_TCP;
        const auto value = static_cast<std::uint64_t>(listening_.get());
        ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(skeleton_->maps.sl_sockets), &slot, &value, BPF_ANY), 0);
    }

    // 0 or the errno of connecting to the listener's address.
    static int try_connect(bool v6, std::uint16_t port)
    {
        sockaddr_storage address{};
        const socklen_t size = SocketAddress{family(v6).vip, port}.to_sockaddr(address);
        const UniqueFd client(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        return ::connect(client.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 ? 0 : errno;
    }

    UniqueFd link_;
    UniqueFd listening_;
};

TEST_F(SkLookup, EveryListenersConnectionReachesTheProxysSocket)
{
    for (const bool v6 : {false, true})
        for (const int served_by : {SL_SERVED_BY_PROXY, SL_SERVED_BY_KERNEL}) {
            SCOPED_TRACE(std::string(family(v6).name) + " " + std::to_string(served_by));
            serve(v6, kRemote, static_cast<std::uint8_t>(served_by));
            EXPECT_EQ(try_connect(v6, 80), 0);
            const UniqueFd accepted(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            EXPECT_TRUE(accepted.valid());
            sockaddr_storage local{};
            socklen_t size = sizeof(local);
            ASSERT_EQ(::getsockname(accepted.get(), reinterpret_cast<sockaddr*>(&local), &size), 0);
            const auto name = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&local));
            ASSERT_TRUE(name);
            EXPECT_EQ(name->address, family(v6).vip);
            EXPECT_EQ(name->port, 80);
        }
}

TEST_F(SkLookup, ARefusedShareIsResetByTheStack)
{
    for (const bool v6 : {false, true}) {
        serve(v6, SL_BACKEND_NONE);
        EXPECT_EQ(try_connect(v6, 80), ECONNREFUSED);
    }
}

TEST_F(SkLookup, TheProxysListenersAskNoRing)
{
    serve(false, SL_BACKEND_NONE, SL_SERVED_BY_PROXY);
    EXPECT_EQ(try_connect(false, 80), 0);
}

TEST_F(SkLookup, APortWithoutAListenerIsNotOurs)
{
    serve(false, kRemote);
    EXPECT_EQ(try_connect(false, 81), ECONNREFUSED);
}

// A connection that the stack already holds is not torn away to a backend; one that nobody holds is re-derived.
TEST_F(SkLookup, AConnectionOfTheRelayStaysWithTheRelay)
{
    serve(false, kRemote);
    const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage vip{};
    const socklen_t vip_size = SocketAddress{family(false).vip, 80}.to_sockaddr(vip);
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&vip), vip_size), 0);
    sockaddr_storage bound{};
    socklen_t size = sizeof(bound);
    ASSERT_EQ(::getsockname(client.get(), reinterpret_cast<sockaddr*>(&bound), &size), 0);
    const auto own = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&bound));
    ASSERT_TRUE(own);
    Packet packet = request(false, IPPROTO_TCP);
    packet.source = own->address;
    packet.source_port = own->port;
    packet.tcp_flags = kAck;
    EXPECT_EQ(xdp(packet).verdict, static_cast<int>(XDP_PASS));
    EXPECT_EQ(tc(packet).verdict, kNext);
    EXPECT_EQ(reason(SL_REASON_RELAYED), 1U);
    EXPECT_EQ(flows(), 0U);
    packet.source = family(false).client;
    EXPECT_EQ(tc(packet).verdict, kRedirect);
}

// The slow path must refuse exactly the flows that tcx refuses.
TEST_F(SkLookup, TheRingSaysTheSameToTcxAndToTheStack)
{
    serve(false, kRemote);
    std::vector<std::uint32_t> slots(SL_RING_SLOTS, kRemote);
    for (std::size_t i = 0; i < slots.size(); i += 2)
        slots[i] = SL_BACKEND_NONE;
    ASSERT_TRUE(tables_.rings.set(kListener, std::span<const std::uint32_t, SL_RING_SLOTS>(slots)));
    int refused_count = 0;
    for (int i = 0; i < 64; i++) {
        const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_storage bound{};
        socklen_t size = SocketAddress{ip("127.0.0.1"), 0}.to_sockaddr(bound);
        ASSERT_EQ(::bind(client.get(), reinterpret_cast<sockaddr*>(&bound), size), 0);
        size = sizeof(bound);
        ASSERT_EQ(::getsockname(client.get(), reinterpret_cast<sockaddr*>(&bound), &size), 0);
        sockaddr_storage vip{};
        const socklen_t vip_size = SocketAddress{family(false).vip, 80}.to_sockaddr(vip);
        const bool refused = ::connect(client.get(), reinterpret_cast<sockaddr*>(&vip), vip_size) != 0;
        Packet packet = request(false, IPPROTO_TCP);
        const auto own = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&bound));
        ASSERT_TRUE(own);
        packet.source = own->address;
        packet.source_port = own->port;
        const std::uint64_t before = reason(SL_REASON_REFUSED_TCP);
        tc(packet);
        EXPECT_EQ(reason(SL_REASON_REFUSED_TCP) - before, refused ? 1U : 0U) << own->port;
        refused_count += refused ? 1 : 0;
        if (!refused)
            const UniqueFd accepted(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
    EXPECT_GT(refused_count, 10);
    EXPECT_LT(refused_count, 54);
}

}  // namespace
}  // namespace sluice::test
