// SPDX-License-Identifier: Apache-2.0
// Nanoseconds a packet of the kernel programs, by BPF_PROG_TEST_RUN: warm caches, one core, no driver and no stack. One
// iteration is one packet. What replay.bpf.c needs itself is measured first and taken off.
#include <benchmark/benchmark.h>

#include <algorithm>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include "replay.skel.h"
#pragma GCC diagnostic pop

#include "tests/bench/micro/require.h"
#include "tests/bpf/rig.h"

namespace sluice::bench {
namespace {

using namespace test;

// New flows at a time: what fits into the table, and a fifth of the source ports that the node has for one backend.
constexpr int kFlowsLocal = 100'000;
constexpr int kFlowsRemote = 4'000;

enum class Hook { Tcx, Xdp };

struct Case {
    const char* name;
    Hook hook;
    bool v6;
    std::uint8_t proto;
    std::uint32_t backend;  // kLocal keeps the client's address, kRemote also translates the source
    enum class Part { First, Later, Answer, Miss } part;
};
using Part = Case::Part;

const Case kCases[] = {
    {"tcx/tcp4/local/new_flow", Hook::Tcx, false, IPPROTO_TCP, kLocal, Part::First},
    {"tcx/tcp4/local/established", Hook::Tcx, false, IPPROTO_TCP, kLocal, Part::Later},
    {"tcx/tcp6/local/established", Hook::Tcx, true, IPPROTO_TCP, kLocal, Part::Later},
    {"tcx/udp4/local/established", Hook::Tcx, false, IPPROTO_UDP, kLocal, Part::Later},
    {"tcx/tcp4/local/answer", Hook::Tcx, false, IPPROTO_TCP, kLocal, Part::Answer},
    {"tcx/tcp4/remote/established", Hook::Tcx, false, IPPROTO_TCP, kRemote, Part::Later},
    {"tcx/tcp4/miss", Hook::Tcx, false, IPPROTO_TCP, kLocal, Part::Miss},
    {"xdp/tcp4/remote/new_flow", Hook::Xdp, false, IPPROTO_TCP, kRemote, Part::First},
    {"xdp/tcp4/remote/established", Hook::Xdp, false, IPPROTO_TCP, kRemote, Part::Later},
    {"xdp/tcp6/remote/established", Hook::Xdp, true, IPPROTO_TCP, kRemote, Part::Later},
    {"xdp/udp4/remote/established", Hook::Xdp, false, IPPROTO_UDP, kRemote, Part::Later},
    {"xdp/tcp4/remote/answer", Hook::Xdp, false, IPPROTO_TCP, kRemote, Part::Answer},
    {"xdp/tcp4/miss", Hook::Xdp, false, IPPROTO_TCP, kRemote, Part::Miss},
};

struct Timed {
    double seconds;  // all repetitions
    int verdict;
};

struct ReplayDeleter {
    void operator()(replay* skeleton) const { replay__destroy(skeleton); }
};

// The rig of the kernel programs' tests, outside of a test: a failed assertion throws, and so ends the program.
class PacketRig : public Rig {
public:
    static void make_links() { SetUpTestSuite(); }

    explicit PacketRig(const Case& wanted) : case_(wanted)
    {
        SetUp();
        serve(wanted.v6, wanted.backend);
        replay_.reset(replay__open_and_load());
        require(replay_ != nullptr, "the replaying program was not loaded");
    }

    // Leaves the flow that the packet belongs to in the tables, and the packet where the replaying program finds it.
    void prepare()
    {
        Packet packet = request(case_.v6, case_.proto);
        if (case_.part == Part::Miss)
            packet.destination_port = 81;
        if (case_.part == Part::Later || case_.part == Part::Answer) {
            const Seen arrived = send(packet).seen();
            packet.tcp_flags = kAck;
            if (case_.part == Part::Answer)
                packet = answer(arrived, kAck);
        }
        packet.payload = std::string(64, 'x');
        frame_ = build(packet);
        require(frame_.size() >= sizeof replay_->bss->frame, "the frame is too short");
        std::memcpy(replay_->bss->frame, frame_.data(), sizeof replay_->bss->frame);
        if (case_.part == Part::First) {
            replay_->bss->varied_at = 14 + 12;       // source of an IPv4 packet
            replay_->bss->varied_base = 0x64000000;  // 100.0.0.0
        }
    }

    // With `program` false the costs of the measurement alone.
    Timed time(int repetitions, bool program)
    {
        const bool tcx = case_.hook == Hook::Tcx;
        const bpf_program* const empty = tcx ? replay_->progs.tc_empty : replay_->progs.xdp_empty;
        const bpf_program* const ours = tcx ? skeleton_->progs.sl_tc_ingress : skeleton_->progs.sl_xdp_ingress;
        const std::uint32_t slot = 0;
        const int measured = bpf_program__fd(program ? ours : empty);
        require(::bpf_map_update_elem(bpf_map__fd(tcx ? replay_->maps.tc_measured : replay_->maps.xdp_measured), &slot,
                                      &measured, BPF_ANY) == 0,
                "the measured program was not put in");
        const bool from_pod = case_.part == Part::Answer && tcx;
        __sk_buff skb{};
        skb.ifindex = ::if_nametoindex(from_pod ? "pod" : "wire");
        xdp_md xdp{};
        xdp.data_end = static_cast<std::uint32_t>(frame_.size());
        xdp.ingress_ifindex = skb.ifindex;
        bpf_test_run_opts options{};
        options.sz = sizeof(options);
        options.data_in = frame_.data();
        options.data_size_in = static_cast<std::uint32_t>(frame_.size());
        options.ctx_in = tcx ? static_cast<void*>(&skb) : &xdp;
        options.ctx_size_in = tcx ? sizeof(skb) : sizeof(xdp);
        options.repeat = repetitions;
        require(::bpf_prog_test_run_opts(bpf_program__fd(tcx ? replay_->progs.tc_replay : replay_->progs.xdp_replay),
                                         &options) == 0,
                "BPF_PROG_TEST_RUN failed");
        return {options.duration * 1e-9 * repetitions, static_cast<int>(options.retval)};
    }

    [[nodiscard]] bool is_for(const Case& other) const { return &case_ == &other; }
    [[nodiscard]] std::uint64_t connections() { return counters().connections; }

private:
    void TestBody() override {}
    Outcome send(const Packet& packet) { return case_.hook == Hook::Tcx ? tc(packet) : xdp(packet); }

    const Case& case_;
    std::unique_ptr<replay, ReplayDeleter> replay_;
    Bytes frame_;
};

void packet(benchmark::State& state, const Case& wanted)
{
    // Loading takes a while, and a benchmark is entered once for each number of iterations that is tried.
    static std::unique_ptr<PacketRig> loaded;
    if (!loaded || !loaded->is_for(wanted) || wanted.part == Part::First) {
        loaded.reset();
        loaded = std::make_unique<PacketRig>(wanted);
        loaded->prepare();
    }
    PacketRig& rig = *loaded;
    const int repetitions = static_cast<int>(std::min<benchmark::IterationCount>(state.max_iterations, 1'000'000'000));
    Timed overhead{1e9, 0};  // the least of five: what disturbs only adds
    for (int i = 0; i < 5; ++i)
        overhead.seconds = std::min(overhead.seconds, rig.time(200'000, false).seconds / 200'000);

    const int miss = wanted.hook == Hook::Tcx ? kNext : static_cast<int>(XDP_PASS);
    const int hit = wanted.hook == Hook::Tcx ? kRedirect : static_cast<int>(XDP_TX);
    const std::uint64_t before = rig.connections();
    while (state.KeepRunningBatch(repetitions)) {
        const Timed timed = rig.time(repetitions, true);
        state.SetIterationTime(std::max(1e-12, timed.seconds - overhead.seconds * repetitions));
        require(timed.verdict == (wanted.part == Part::Miss ? miss : hit), "the packet went another way");
    }
    const std::uint64_t made = rig.connections() - before;
    require(made == (wanted.part == Part::First ? static_cast<std::uint64_t>(state.iterations()) : 0),
            "other flows were made than meant");
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv)
{
    using namespace sluice::bench;
    benchmark::Initialize(&argc, argv);
    if (::geteuid() != 0) {
        std::fputs("needs root: loads kernel programs\n", stderr);
        return 77;
    }
    GTEST_FLAG_SET(throw_on_failure, true);
    PacketRig::make_links();
    for (const Case& one : kCases) {
        auto* const benchmark = benchmark::RegisterBenchmark((std::string("packet/") + one.name).c_str(),
                                                             [&one](auto& state) { packet(state, one); });
        benchmark->UseManualTime();
        if (one.part == Part::First)
            benchmark->Iterations(one.backend == kLocal ? kFlowsLocal : kFlowsRemote);
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
