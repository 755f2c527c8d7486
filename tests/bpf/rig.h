// SPDX-License-Identifier: Apache-2.0
// The programs of one test: loaded with maps of their own, nothing pinned, nothing attached, in a network namespace of
// the test's process with two links: "wire" (10.1.0.1/24, fd01::1/64; the default route) and "pod" (10.2.0.1/24,
// fd02::1/64), both with the address that frames are built for. Neighbours are static, so that every route resolves.
#pragma once

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>

#include "loader/skeleton.h"
#include "maps/table.h"
#include "tests/harness/packet.h"

namespace sluice::test {

inline IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

inline void copy_address(__be32 (&to)[4], const IpAddress& from) { std::memcpy(to, from.bytes().data(), 16); }

constexpr std::uint8_t kProtocols[] = {IPPROTO_TCP, IPPROTO_UDP};
constexpr std::uint32_t kListener = 7;
constexpr std::uint32_t kLocal = 100;    // 10.2.0.10 or fd02::10, port 8080
constexpr std::uint32_t kRemote = 200;   // 10.1.0.20 or fd01::20, port 8080
constexpr std::uint32_t kRemote2 = 201;  // 10.1.0.21 or fd01::21, port 8080
constexpr int kNext = -1;                // TCX_NEXT
constexpr int kRedirect = 7;             // TC_ACT_REDIRECT
constexpr int kShot = 2;                 // TCX_DROP

struct Family {
    const char* name;
    IpAddress client, vip, node, local, remote, remote2;
};

inline const Family& family(bool v6)
{
    static const Family kFamilies[2] = {
        {"v4", ip("10.1.0.99"), ip("192.0.2.1"), ip("10.1.0.1"), ip("10.2.0.10"), ip("10.1.0.20"), ip("10.1.0.21")},
        {"v6", ip("fd01::99"), ip("2001:db8::1"), ip("fd01::1"), ip("fd02::10"), ip("fd01::20"), ip("fd01::21")}};
    return kFamilies[v6 ? 1 : 0];
}

struct Outcome {
    int verdict = 0;
    Bytes frame;
    [[nodiscard]] Seen seen() const { return take_apart(frame).value_or(Seen{}); }
};

class Rig : public ::testing::Test {
protected:
    static void SetUpTestSuite()
    {
        if (::geteuid() != 0)
            return;
        ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
        ASSERT_EQ(std::system("ip link set dev lo up && ip link add wire address 02:00:00:00:00:01 type veth peer "
                              "name wire_far && "
                              "ip link add pod address 02:00:00:00:00:01 type veth peer name pod_far && "
                              "for l in wire wire_far pod pod_far; do ip link set dev $l up || exit 1; done && "
                              "ip addr add 10.1.0.1/24 dev wire && ip addr add 10.2.0.1/24 dev pod && "
                              "ip addr add fd01::1/64 dev wire nodad && ip addr add fd02::1/64 dev pod nodad && "
                              "for h in 20 21 99; do "
                              "ip neigh add 10.1.0.$h lladdr 02:00:00:00:01:$h dev wire nud permanent && "
                              "ip neigh add fd01::$h lladdr 02:00:00:00:01:$h dev wire nud permanent || exit 1; done"),
                  0);
        for (const char* knob : {"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"}) {
            std::ofstream(knob) << 1;
        }
    }

    void SetUp() override
    {
        if (::geteuid() != 0)
            GTEST_SKIP() << "needs root: loads kernel programs";
        skeleton_.reset(sluice__open());
        ASSERT_TRUE(skeleton_);
        ASSERT_EQ(sluice__load(skeleton_.get()), 0);
        const auto& maps = skeleton_->maps;
        tables_.listeners = {bpf_map__fd(maps.sl_listeners), SL_MAP_LISTENERS};
        tables_.backends = {bpf_map__fd(maps.sl_backends), SL_MAP_BACKENDS};
        tables_.rings = maps::Rings(bpf_map__fd(maps.sl_rings));
        tables_.flows = {bpf_map__fd(maps.sl_flows), SL_MAP_FLOWS};
        tables_.replies = {bpf_map__fd(maps.sl_replies), SL_MAP_REPLIES};
        tables_.counters = {bpf_map__fd(maps.sl_counters), bpf_map__fd(maps.sl_drops)};
        tables_.config = {bpf_map__fd(maps.sl_config), SL_MAP_CONFIG};
    }

    // Listener kListener on port 80, TCP and UDP, of one family, every slot of its ring held by `backend`.
    void serve(bool v6, std::uint32_t backend, std::uint8_t served_by = SL_SERVED_BY_KERNEL)
    {
        const Family& f = family(v6);
        for (const std::uint8_t proto : kProtocols) {
            sl_listener_key key{};
            copy_address(key.addr_be, f.vip);
            key.port_be = htons(80);
            key.proto = proto;
            ASSERT_TRUE(tables_.listeners.set(key, {kListener, served_by, {}}));
        }
        set_backend(kLocal, f.local, SL_BACKEND_LOCAL);
        set_backend(kRemote, f.remote, 0);
        set_backend(kRemote2, f.remote2, 0);
        ring(backend);
        sl_config config{};
        config.seed[0] = 0x12345678;
        config.seed[1] = 0x9abcdef0;
        config.udp_idle_s = 60;
        ASSERT_TRUE(tables_.config.set(0, config));
    }

    void set_backend(std::uint32_t id, const IpAddress& address, std::uint8_t flags, std::uint32_t generation = 1)
    {
        sl_backend backend{};
        copy_address(backend.addr_be, address);
        backend.port_be = htons(8080);
        backend.flags = flags;
        backend.ifindex = (flags & SL_BACKEND_LOCAL) != 0 ? ::if_nametoindex("pod") : 0;
        backend.generation = generation;
        copy_address(backend.source_be, family(!address.is_v4()).node);
        ASSERT_TRUE(tables_.backends.set(id, backend));
    }

    void ring(std::uint32_t backend)
    {
        const std::vector<std::uint32_t> slots(SL_RING_SLOTS, backend);
        ASSERT_TRUE(tables_.rings.set(kListener, std::span<const std::uint32_t, SL_RING_SLOTS>(slots)));
    }

    [[nodiscard]] static Packet request(bool v6, std::uint8_t proto)
    {
        Packet packet;
        packet.source = family(v6).client;
        packet.destination = family(v6).vip;
        packet.source_port = 40000;
        packet.destination_port = 80;
        packet.proto = proto;
        return packet;
    }

    // What a backend sends back for a request as it arrived there.
    [[nodiscard]] static Packet answer(const Seen& request, std::uint8_t tcp_flags = kSyn | kAck)
    {
        Packet packet = request;
        std::swap(packet.source, packet.destination);
        std::swap(packet.source_port, packet.destination_port);
        packet.tcp_flags = tcp_flags;
        packet.ttl = 64;
        packet.payload = "answer";
        return packet;
    }

    Outcome tc(const Bytes& frame, const char* link = "wire")
    {
        __sk_buff context{};
        context.ifindex = ::if_nametoindex(link);
        return run(skeleton_->progs.sl_tc_ingress, frame, &context, sizeof(context));
    }
    Outcome tc(const Packet& packet, const char* link = "wire") { return tc(build(packet), link); }
    // As the kernel hands it over when it has merged segments.
    Outcome tc_merged(const Bytes& frame, std::uint32_t segments)
    {
        __sk_buff context{};
        context.ifindex = ::if_nametoindex("wire");
        context.gso_segs = segments;
        context.gso_size = 1400;
        return run(skeleton_->progs.sl_tc_ingress, frame, &context, sizeof(context));
    }

    Outcome xdp(const Bytes& frame)
    {
        xdp_md context{};
        context.data_end = static_cast<std::uint32_t>(frame.size());
        context.ingress_ifindex = ::if_nametoindex("wire");
        return run(skeleton_->progs.sl_xdp_ingress, frame, &context, sizeof(context));
    }
    Outcome xdp(const Packet& packet) { return xdp(build(packet)); }

    std::uint64_t reason(std::uint32_t number) { return tables_.counters.reasons(kListener).value()[number]; }
    sl_counters counters() { return tables_.counters.listener(kListener).value(); }
    std::size_t flows() { return tables_.flows.entries().value().size(); }

    struct Deleter {
        void operator()(sluice_programs* skeleton) const { sluice__destroy(skeleton); }
    };
    std::unique_ptr<sluice_programs, Deleter> skeleton_;
    maps::Tables tables_;

private:
    static Outcome run(bpf_program* program, const Bytes& frame, void* context, std::uint32_t context_bytes)
    {
        Outcome outcome;
        outcome.frame.resize(frame.size() + 256);
        bpf_test_run_opts options{};
        options.sz = sizeof(options);
        options.data_in = frame.data();
        options.data_size_in = static_cast<std::uint32_t>(frame.size());
        options.data_out = outcome.frame.data();
        options.data_size_out = static_cast<std::uint32_t>(outcome.frame.size());
        options.ctx_in = context;
        options.ctx_size_in = context_bytes;
        const int error = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
        EXPECT_EQ(error, 0);
        outcome.verdict = static_cast<int>(options.retval);
        outcome.frame.resize(options.data_size_out);
        return outcome;
    }
};

}  // namespace sluice::test
