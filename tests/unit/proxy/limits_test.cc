// SPDX-License-Identifier: Apache-2.0
// Whom a limit stops is counted under its name. What else a limit does is tested where it belongs.
#include <unistd.h>

#include <fstream>

#include "tests/harness/http2_peer.h"

namespace sluice::test {
namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kEndOfHead = "\r\n\r\n";

class ProxyLimits : public ProxyTest {
protected:
    // Waits until the limit was hit; false: it was not.
    bool is_hit(const std::string& limit)
    {
        const std::uint64_t deadline = monotonic_ms() + kWaitMs;
        while (proxy_->limit_hits().at(limit) == 0) {
            if (monotonic_ms() > deadline)
                return false;
            ::poll(nullptr, 0, 5);
        }
        return true;
    }
};

TEST_P(ProxyLimits, NothingIsHitByAnOrdinaryRequest)
{
    Acceptor acceptor;
    Peer client = Peer::connect(serve(to(acceptor)));
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    Peer backend = acceptor.accept();
    (void)backend.read_until("\r\n\r\n");
    backend.send("HTTP/1.1 204 No Content\r\n\r\n");
    (void)client.read_all();
    for (const auto& [limit, hits] : proxy_->limit_hits())
        EXPECT_EQ(hits, 0U) << limit;
}

TEST_P(ProxyLimits, TimesOfAClient)
{
    start({.header_timeout_ms = 50, .idle_timeout_ms = 50, .stream_idle_timeout_ms = 50});
    Acceptor acceptor;
    const std::uint16_t port = serve(to(acceptor));
    const Peer slow = Peer::connect(port);
    slow.send("GET / HTTP/1.1\r\nHo");
    EXPECT_TRUE(is_hit("header_timeout"));
    EXPECT_EQ(proxy_->limit_hits().at("idle_timeout"), 0U);
    const Peer idle = Peer::connect(port);
    idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_TRUE(is_hit("stream_idle_timeout"));
    EXPECT_TRUE(is_hit("idle_timeout"));
}

// Trailers that have begun to come when the answer is over: their stream is, and the connection is idle.
TEST_P(ProxyLimits, AHeadOfAStreamThatIsOverIsNotWaitedFor)
{
    using namespace std::string_literals;
    start({.idle_timeout_ms = 100});
    Acceptor acceptor;
    Peer client = Peer::connect(serve(to(acceptor)));
    const std::string post = "\0\0\x06\x01\x04\0\0\0\x01\x83\x86\x84\x01\x01h"s;
    const std::string begun_trailers = "\0\0\x05\x01\x05\0\0\0\x01\x40\x01"s;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"s + post + begun_trailers);
    Peer backend = acceptor.accept();
    (void)backend.read_until(kEndOfHead);
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    const std::string given_up = "\0\0\x04\x03\0\0\0\0\x01\0\0\0\0"s;
    EXPECT_TRUE(client.read_until(given_up).ends_with(given_up));
    EXPECT_TRUE(is_hit("idle_timeout"));
    EXPECT_EQ(proxy_->limit_hits().at("header_timeout"), 0U);
}

TEST_P(ProxyLimits, HeadsThatAreTooLarge)
{
    Acceptor acceptor;
    Peer client = Peer::connect(serve(to(acceptor)));
    client.send("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(40'000, 'x') + "\r\n\r\n");
    EXPECT_TRUE(is_hit("header_size"));
}

TEST_P(ProxyLimits, ConnectionsBeyondTheLimitWait)
{
    start({.connections_max = 1});
    Acceptor acceptor;
    const std::uint16_t port = serve(to(acceptor));
    const Peer first = Peer::connect(port);
    const Peer second = Peer::connect(port);
    EXPECT_TRUE(is_hit("connections"));
}

TEST_P(ProxyLimits, ResetsInFloods)
{
    Acceptor acceptor;
    Http2Peer client(Peer::connect(serve(to(acceptor))), Http2Peer::Side::Client);
    for (int i = 0; i < 5'000 && !client.is_closed(); ++i)
        client.reset(client.request(Http2Peer::get("/")), NGHTTP2_CANCEL);
    EXPECT_TRUE(client.pump_until([&] { return client.went_away() || client.is_closed(); }) || client.is_closed());
    EXPECT_TRUE(is_hit("http2_flood"));
}

TEST_P(ProxyLimits, PingsInFloods)
{
    Acceptor acceptor;
    Http2Peer client(Peer::connect(serve(to(acceptor))), Http2Peer::Side::Client);
    for (int i = 0; i < 300; ++i)
        client.ping();
    EXPECT_TRUE(client.pump_until([&] { return client.went_away() || client.is_closed(); }) || client.is_closed());
    EXPECT_TRUE(is_hit("http2_flood"));
}

// As gRPC measures the bandwidth of a connection.
TEST_P(ProxyLimits, PingsBesideMessagesAreNoFlood)
{
    Acceptor acceptor;
    Http2Peer client(Peer::connect(serve(to(acceptor))), Http2Peer::Side::Client);
    const auto id =
        client.request({{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}, false);
    Peer backend = acceptor.accept();
    for (int i = 0; i < 500; ++i) {
        client.send(id, "x", false);
        client.ping();
    }
    client.send(id, "end", true);
    (void)backend.read_until("end");
    backend.send("HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_EQ(client.wait(id).get(":status"), "204");
    EXPECT_EQ(proxy_->limit_hits().at("http2_flood"), 0U);
}

plan::HttpRule over_tls(plan::HttpRule rule)
{
    rule.backends.front().tls =
        std::make_shared<plan::BackendTls>(plan::BackendTls{.hostname = "h", .system_ca = true});
    return rule;
}

TEST_P(ProxyLimits, ABackendThatDoesNotFinishItsHandshake)
{
    start({.connect_timeout_ms = 50});
    Acceptor acceptor;
    Peer client = Peer::connect(serve(over_tls(to(acceptor))));
    client.send(kGet);
    EXPECT_TRUE(is_hit("connect_timeout"));
}

TEST_P(ProxyLimits, ARequestThatWaitsForItsConnectionIsTimedToo)
{
    start({.stream_idle_timeout_ms = 50});
    Acceptor acceptor;
    Peer client = Peer::connect(serve(over_tls(to(acceptor))));
    client.send(kGet);
    EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 504 "));
    EXPECT_TRUE(is_hit("stream_idle_timeout"));
}

TEST_P(ProxyLimits, StreamsOfOneClientDoNotOpenConnectionsWithoutEnd)
{
    start({.upstream_connections_max = 2});
    Acceptor acceptor;
    Http2Peer client(Peer::connect(serve(to(acceptor))), Http2Peer::Side::Client);
    std::vector<Peer> backends;
    std::vector<std::int32_t> served;
    for (int i = 0; i < 2; ++i) {
        served.push_back(client.request(Http2Peer::get("/")));
        backends.push_back(acceptor.accept());
    }
    EXPECT_EQ(client.wait(client.request(Http2Peer::get("/"))).get(":status"), "503");
    EXPECT_TRUE(is_hit("upstream_connections"));
    EXPECT_FALSE(acceptor.is_called(0));
    // Not lost for good: what has ended makes room.
    backends.clear();
    for (const std::int32_t id : served)
        EXPECT_EQ(client.wait(id).get(":status"), "502");
    const auto next = client.request(Http2Peer::get("/"));
    Peer backend = acceptor.accept();
    (void)backend.read_until("\r\n\r\n");
    backend.send("HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_EQ(client.wait(next).get(":status"), "204");
}

TEST_P(ProxyLimits, ConnectionsThatNobodyUsesMakeRoomForOthers)
{
    start({.upstream_connections_max = 1});
    const auto is_answered = [](Peer& client) { return client.read_until(kEndOfHead).starts_with("HTTP/1.1 204 "); };
    Acceptor http1;
    Peer first = Peer::connect(serve(to(http1)));
    first.send(kGet);
    Peer pooled = http1.accept();
    (void)pooled.read_until(kEndOfHead);
    pooled.send("HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_TRUE(is_answered(first));
    Acceptor http2;
    Peer second = Peer::connect(serve(to_http2(http2)));
    second.send(kGet);
    EXPECT_EQ(pooled.read_all(), "");
    Http2Peer shared(http2.accept(), Http2Peer::Side::Server);
    shared.respond(shared.next_request(), {{":status", "204"}});
    EXPECT_TRUE(is_answered(second));
    Acceptor other;
    Peer third = Peer::connect(serve(to(other)));
    third.send(kGet);
    EXPECT_TRUE(shared.pump_until([&] { return shared.is_closed(); }));
    Peer last = other.accept();
    (void)last.read_until(kEndOfHead);
    last.send("HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_TRUE(is_answered(third));
    EXPECT_EQ(proxy_->limit_hits().at("upstream_connections"), 0U);
}

std::size_t resident_bytes()
{
    std::size_t pages = 0;
    std::ifstream statm("/proc/self/statm");
    statm >> pages >> pages;
    return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// The proxy always holds the beginning of a request, so that its buffer is never empty.
TEST_P(ProxyLimits, AClientThatNeverPausesTakesNoMemoryForWhatWasAnswered)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the sanitizers' allocators are not what is measured";
#endif
    Peer client = Peer::connect(serve({.name = "r", .backends = {}}));
    const std::string request = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(30'000, 'x') + "\r\n\r\n";
    constexpr int kRequests = 1'000;  // 30 MB
    client.send(request.substr(0, 1));
    const std::size_t before = resident_bytes();
    for (int i = 0; i < kRequests; ++i) {
        client.send(request.substr(1) + request.substr(0, 1));
        ASSERT_TRUE(client.read_until("\r\n\r\nInternal Server Error\n").starts_with("HTTP/1.1 500 ")) << i;
    }
    EXPECT_LT(resident_bytes(), before + 10'000'000);
}

INSTANTIATE_TEST_SUITE_P(Io, ProxyLimits, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
