// SPDX-License-Identifier: Apache-2.0
// Objects to Plan: HTTPRoutes of one Gateway, each with a hostname, a Service and two endpoints of its own.
#include <benchmark/benchmark.h>

#include <fmt/core.h>

#include "tests/bench/micro/require.h"
#include "tests/unit/plan/builders.h"

namespace sluice::bench {
namespace {

using namespace plan::test;

World world_of(std::int64_t routes)
{
    World world;
    world.add(gateway("gw", {listener("http", "HTTP", 80)}, {"203.0.113.1"}));
    // Names of one length: appended, the lists stay sorted.
    for (std::int64_t i = 0; i < routes; ++i) {
        const std::string name = fmt::format("web-{:06}", i);
        model::HttpRoute route = http_route(name, {parent("gw")}, {fmt::format("{}.example.com", name)},
                                            {rule({backend(name)}, {match(model::PathMatchType::PathPrefix, "/api"),
                                                                    match(model::PathMatchType::Exact, "/health")})});
        world.objects.http_routes.push_back(std::move(route));
        world.objects.services.push_back(service(name));
        model::EndpointSlice endpoints = slice(name, {});
        for (const std::int64_t host : {1, 2})
            endpoints.endpoints.push_back(endpoint(fmt::format("10.{}.{}.{}", i / 100, i % 100, host).c_str()));
        world.objects.endpoint_slices.push_back(std::move(endpoints));
    }
    return world;
}

void require_complete(const plan::Plan& plan, std::int64_t routes)
{
    require(plan.http.size() == 1 && plan.http[0].listeners.size() == 1 &&
                std::ssize(plan.http[0].listeners[0].rules) == routes,
            "the plan lacks routes");
}

void make(benchmark::State& state)
{
    const World world = world_of(state.range(0));
    plan::Plan plan;
    for (auto _ : state) {
        plan = world.plan();
        benchmark::DoNotOptimize(plan);
    }
    require_complete(plan, state.range(0));
}
BENCHMARK(make)->Name("plan")->ArgName("routes")->Arg(500)->Arg(5000)->Unit(benchmark::kMicrosecond);

// The same in a cluster of 100 nodes, with 64 more Gateways that have addresses out of a pool.
void make_in_cluster(benchmark::State& state)
{
    World world = world_of(state.range(0));
    world.add(config({"198.51.100.0-198.51.100.255", "203.0.113.1"}));
    world.objects.gateway_classes.edit(0).parameters_ref =
        model::ParametersReference{model::kConfigGroup, model::NodeGatewayConfig::kKind, "pools", {}};
    world.facts.cluster = world.facts.is_leader = true;
    for (int i = 0; i < 64; ++i)
        world.add(gateway(fmt::format("other-{}", i), {listener("tcp", "TCP", 80)}));
    for (int i = 0; i < 100; ++i) {
        const std::string name = fmt::format("node-{:03}", i);
        world.add(node(name, {fmt::format("192.0.2.{}", i), fmt::format("2001:db8::{}", i)}));
        world.facts.members.push_back(name);
    }
    world.facts.name = world.facts.members[0];
    plan::Plan plan;
    for (auto _ : state) {
        plan = world.plan();
        benchmark::DoNotOptimize(plan);
    }
    require_complete(plan, state.range(0));
    require(plan.pool_addresses.size() == 65, "Gateways lack addresses");
}
BENCHMARK(make_in_cluster)->Name("plan_in_cluster")->ArgName("routes")->Arg(5000)->Unit(benchmark::kMicrosecond);

// As in `./dev bench control`: a Service of ten endpoints for every four routes, and one more that all of them share.
World shared_world_of(std::int64_t routes)
{
    World world;
    world.add(gateway("gw", {listener("http", "HTTP", 80)}, {"203.0.113.1"}));
    const std::int64_t services = routes / 4;
    const auto name_of = [](std::int64_t number) { return fmt::format("web-{:06}", number); };
    for (std::int64_t i = 0; i < routes; ++i)
        world.objects.http_routes.push_back(http_route(name_of(i), {parent("gw", "http")},
                                                       {name_of(i) + ".example.com"},
                                                       {rule({backend(name_of(i % services)), backend("web")},
                                                             {match(model::PathMatchType::PathPrefix, "/first")})}));
    for (std::int64_t i = 0; i < services; ++i) {
        world.objects.services.push_back(service(name_of(i)));
        model::EndpointSlice endpoints = slice(name_of(i), {});
        for (int host = 0; host < 10; ++host)
            endpoints.endpoints.push_back(endpoint(fmt::format("10.{}.{}.{}", i / 100, i % 100, host).c_str()));
        world.objects.endpoint_slices.push_back(std::move(endpoints));
    }
    world.add(service("web")).add(slice("web", {endpoint("192.0.2.1"), endpoint("192.0.2.2")}));
    return world;
}

void make_shared(benchmark::State& state)
{
    const World world = shared_world_of(state.range(0));
    plan::Plan plan;
    for (auto _ : state) {
        plan = world.plan();
        benchmark::DoNotOptimize(plan);
    }
    require_complete(plan, state.range(0));
}
BENCHMARK(make_shared)->Name("plan_shared")->ArgName("routes")->Arg(2000)->Unit(benchmark::kMicrosecond);

// One route of all changes from plan to plan.
void change_one(benchmark::State& state)
{
    World world = shared_world_of(state.range(0));
    plan::Planner planner;
    plan::Plan plan = planner.plan(world.objects, world.facts);
    std::size_t turn = 0;
    for (auto _ : state) {
        const std::size_t route = ++turn * 7 % world.objects.http_routes.size();
        world.objects.http_routes.edit(route).rules[0].matches[0].path.value = fmt::format("/live-{}", turn);
        plan = planner.plan(world.objects, world.facts);
        benchmark::DoNotOptimize(plan);
    }
    require_complete(plan, state.range(0));
}
BENCHMARK(change_one)->Name("plan_change_one")->ArgName("routes")->Arg(2000)->Unit(benchmark::kMicrosecond);

// What a delivery that changes nothing costs: the plan once more, and the comparison with the one that serves.
void unchanged(benchmark::State& state)
{
    const World world = world_of(state.range(0));
    const plan::Plan serving = world.plan();
    bool equal = true;
    for (auto _ : state) {
        const plan::Plan plan = world.plan();
        equal &= plan.http == serving.http && plan.l4 == serving.l4;
    }
    require(equal, "the same objects gave another plan");
    require_complete(serving, state.range(0));
}
BENCHMARK(unchanged)->Name("plan_unchanged")->ArgName("routes")->Arg(500)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sluice::bench

BENCHMARK_MAIN();
