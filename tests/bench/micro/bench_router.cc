// SPDX-License-Identifier: Apache-2.0
// A look-up among 10, 1,000 and 10,000 routes of one host, of which the first, the middle or the last matches: by path
// prefix, exact path, header and regular expression.
#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <tuple>

#include "tests/bench/micro/require.h"
#include "tests/unit/proxy/router_fixture.h"

namespace sluice::bench {
namespace {

using proxy::test::exact;
using proxy::test::prefix;
using proxy::test::regex;

struct Kind {
    model::HttpMatch (*match)(const std::string& path);
    bool by_header;
};
const Kind kPrefix{[](const std::string& path) { return prefix(path); }, false};
const Kind kExact{[](const std::string& path) { return exact(path + "/items/4711"); }, false};
const Kind kHeader{[](const std::string& path) {
                       model::HttpMatch match = prefix("/");
                       match.headers.push_back({proxy::test::ValueMatchType::Exact, "X-Tenant", path});
                       return match;
                   },
                   true};
const Kind kRegex{[](const std::string& path) { return regex(path + "/items/[0-9]+"); }, false};

struct Table {
    plan::HttpPort port;
    std::unique_ptr<proxy::Router> router;
};

std::string path_of(std::int64_t i) { return "/team-" + std::to_string(i % 100) + "/service-" + std::to_string(i); }

// Made once for each size and kind, since benchmarks are entered several times.
const proxy::Router& router_of(const Kind& kind, std::int64_t size)
{
    static std::map<std::tuple<const Kind*, std::int64_t>, Table> tables;
    Table& table = tables[{&kind, size}];
    if (!table.router) {
        std::vector<model::HttpMatch> matches;
        for (std::int64_t i = 0; i < size; ++i)
            matches.push_back(kind.match(path_of(i)));
        table.port = proxy::test::port_of(matches);
        table.router = proxy::Router::make(table.port);
    }
    return *table.router;
}

void route(benchmark::State& state, const Kind& kind)
{
    const std::int64_t size = state.range(0);
    const std::int64_t wanted = (size - 1) * state.range(1) / 2;
    const proxy::Router& router = router_of(kind, size);
    const std::string path = path_of(wanted) + "/items/4711";
    const std::string tenant = path_of(wanted);
    const proxy::http1::Header headers[] = {{"User-Agent", "curl/7.88.1"}, {"Accept", "*/*"}, {"X-Tenant", tenant}};
    const proxy::RequestView view{
        .method = "GET", .authority = "www.example.com", .path = path, .query = {}, .headers = headers};
    proxy::RouteResult result;
    for (auto _ : state) {
        result = router.route(view);
        benchmark::DoNotOptimize(result);
    }
    require(result.rule != nullptr && result.rule->name == std::to_string(wanted), "another route was found");
    const char* const kPositions[] = {"first", "middle", "last"};
    state.SetLabel(kPositions[state.range(1)]);
}

void sizes(benchmark::internal::Benchmark* benchmark)
{
    benchmark->ArgNames({"routes", "position"})->ArgsProduct({{10, 1000, 10'000}, {0, 1, 2}});
}
BENCHMARK_CAPTURE(route, prefix, kPrefix)->Apply(sizes);
BENCHMARK_CAPTURE(route, exact, kExact)->Apply(sizes);
BENCHMARK_CAPTURE(route, header, kHeader)->Apply(sizes);
BENCHMARK_CAPTURE(route, regex, kRegex)->Apply(sizes);

}  // namespace
}  // namespace sluice::bench

BENCHMARK_MAIN();
