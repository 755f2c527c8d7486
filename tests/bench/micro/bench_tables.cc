// SPDX-License-Identifier: Apache-2.0
// The pure parts of writing the kernel tables: one listener's ring, and what the tables should hold for a plan.
#include <benchmark/benchmark.h>
#include <netinet/in.h>

#include <algorithm>

#include "agent/apply/desired.h"
#include "agent/apply/ring.h"
#include "tests/bench/micro/require.h"

namespace sluice::bench {
namespace {

IpAddress v4(std::uint8_t a, std::uint8_t b, std::int64_t host)
{
    return IpAddress::from_bytes({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, static_cast<std::uint8_t>(host >> 8),
                                  static_cast<std::uint8_t>(host)});
}

void ring(benchmark::State& state)
{
    std::vector<apply::RingMember> members;
    for (std::int64_t i = 0; i < state.range(0); ++i)
        members.push_back({.identity = apply::backend_identity(v4(10, 0, i).bytes(), 8080, IPPROTO_TCP),
                           .weight = static_cast<std::uint64_t>(1 + i % 3),
                           .backend_id = static_cast<std::uint32_t>(i)});
    apply::RingSlots slots{};
    for (auto _ : state) {
        slots = apply::make_ring(members);
        benchmark::DoNotOptimize(slots);
    }
    for (const apply::RingMember& member : members)
        require(std::ranges::find(slots, member.backend_id) != slots.end(), "a backend has no slot");
}
BENCHMARK(ring)->ArgName("backends")->Arg(2)->Arg(10)->Arg(100)->Unit(benchmark::kMicrosecond);

// TCP listeners of two addresses with ten endpoints each.
plan::Plan plan_of(std::int64_t listeners)
{
    plan::Plan plan;
    for (std::int64_t i = 0; i < listeners; ++i) {
        plan::L4Listener& listener = plan.l4.emplace_back();
        listener.name = "default/gw/tcp-" + std::to_string(i);
        listener.addresses = {v4(203, 0, 1), *IpAddress::parse("2001:db8::1")};
        listener.port = static_cast<std::uint16_t>(10'000 + i);
        listener.route = "default/route-" + std::to_string(i);
        plan::Backend& backend = listener.backends.emplace_back();
        backend.name = "default/service-" + std::to_string(i) + ":80";
        for (std::int64_t j = 0; j < 10; ++j)
            backend.endpoints.push_back({v4(10, 1, i * 10 + j), 8080});
    }
    return plan;
}

apply::Reach remote(const IpAddress&) { return {}; }

void desired(benchmark::State& state)
{
    const plan::Plan plan = plan_of(state.range(0));
    apply::Desired wanted;
    for (auto _ : state) {
        wanted = apply::make_listeners(plan, {});
        apply::add_backends(wanted, plan, remote);
        benchmark::DoNotOptimize(wanted);
    }
    require(std::ssize(wanted.backends) == 10 * state.range(0), "backends are missing");
}
BENCHMARK(desired)->ArgName("listeners")->Arg(1000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sluice::bench

BENCHMARK_MAIN();
