// SPDX-License-Identifier: Apache-2.0
// Heads of HTTP/1.1 messages: what curl sends, what a browser sends, and a short answer.
#include <benchmark/benchmark.h>

#include <string>

#include "agent/proxy/http1.h"
#include "base/canonical_path.h"
#include "tests/bench/micro/require.h"

namespace sluice::bench {
namespace {

namespace http1 = proxy::http1;

constexpr http1::HeadLimits kLimits{.bytes_max = 32 * 1024, .line_bytes_max = 8 * 1024, .count_max = 100};

const std::string kCurl = "GET /team-12/service-7/item HTTP/1.1\r\n"
                          "Host: www.example.com\r\n"
                          "User-Agent: curl/7.88.1\r\n"
                          "Accept: */*\r\n\r\n";

const std::string kBrowser = "GET /wp-content/uploads/2010/03/holiday-by-the-lake.jpg?size=large HTTP/1.1\r\n"
                             "Host: www.example.com\r\n"
                             "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
                             "Accept: image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n"
                             "Accept-Language: de-DE,de;q=0.8,en-US;q=0.5,en;q=0.3\r\n"
                             "Accept-Encoding: gzip, deflate, br, zstd\r\n"
                             "Referer: https://www.example.com/2010/03/holiday-by-the-lake\r\n"
                             "Connection: keep-alive\r\n"
                             "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=necessary\r\n"
                             "If-Modified-Since: Mon, 08 Mar 2010 09:12:44 GMT\r\n"
                             "Sec-Fetch-Dest: image\r\n"
                             "Sec-Fetch-Mode: no-cors\r\n"
                             "Sec-Fetch-Site: same-origin\r\n"
                             "Priority: u=5, i\r\n\r\n";

const std::string kAnswer = "HTTP/1.1 200 OK\r\n"
                            "Server: nginx\r\n"
                            "Date: Mon, 23 Nov 2026 13:00:00 GMT\r\n"
                            "Content-Type: text/plain\r\n"
                            "Content-Length: 100\r\n"
                            "Connection: keep-alive\r\n\r\n";

void request(benchmark::State& state, const std::string& text)
{
    http1::RequestHead head;
    http1::ParseResult result;
    for (auto _ : state) {
        result = http1::parse_request(text, kLimits, head);
        benchmark::DoNotOptimize(head);
    }
    require(result.status == http1::Status::Complete && result.head_bytes == text.size(), "a request was refused");
    state.SetLabel(std::to_string(text.size()) + " B");
}
BENCHMARK_CAPTURE(request, curl, kCurl);
BENCHMARK_CAPTURE(request, browser, kBrowser);

void response(benchmark::State& state)
{
    http1::ResponseHead head;
    http1::ParseResult result;
    for (auto _ : state) {
        result = http1::parse_response(kAnswer, kLimits, "GET", head);
        benchmark::DoNotOptimize(head);
    }
    require(result.status == http1::Status::Complete && head.content_length == 100, "a response was refused");
    state.SetLabel(std::to_string(kAnswer.size()) + " B");
}
BENCHMARK(response);

void canonical_path(benchmark::State& state, const std::string& path)
{
    char room[256];
    bool accepted = true;
    for (auto _ : state) {
        const auto canonical = sluice::canonical_path(path, room);
        benchmark::DoNotOptimize(canonical);
        accepted &= canonical.has_value();
    }
    require(accepted, "a path was refused");
}
BENCHMARK_CAPTURE(canonical_path, already, std::string("/team-12/service-7/item"));
BENCHMARK_CAPTURE(canonical_path, rewritten, std::string("/team-12//%73ervice-7/./a/../item"));

}  // namespace
}  // namespace sluice::bench

BENCHMARK_MAIN();
