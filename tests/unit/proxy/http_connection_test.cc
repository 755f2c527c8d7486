// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 through a real proxy: keep-alive, answers of its own, upgrades and drain; what a hostile side must not
// achieve.
#include "tests/harness/proxy_fixture.h"

namespace sluice::test {
namespace {

using HttpConnection = ProxyTest;

const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const std::string kEndOfHead = "\r\n\r\n";

TEST_P(HttpConnection, KeepsBothSidesAlive)
{
    Acceptor backend;
    Peer client = Peer::connect(serve(to(backend)));
    client.send(kGet);
    Peer upstream = backend.accept();
    for (int i = 0; i < 3; ++i) {
        if (i > 0)
            client.send(kGet);
        EXPECT_TRUE(upstream.read_until(kEndOfHead).starts_with("GET /a HTTP/1.1\r\n"));
        upstream.send(kOk);
        EXPECT_TRUE(client.read_until("ok").starts_with("HTTP/1.1 200 OK\r\n"));
    }
    EXPECT_FALSE(backend.is_called(0));
}

TEST_P(HttpConnection, PipelinedRequestsAreAnsweredInOrder)
{
    Acceptor backend;
    Peer client = Peer::connect(serve(to(backend)));
    client.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    Peer upstream = backend.accept();
    for (const char* path : {"/1", "/2"}) {
        EXPECT_TRUE(upstream.read_until(kEndOfHead).starts_with(std::string("GET ") + path));
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + std::string(path));
        EXPECT_TRUE(client.read_until(path).ends_with(path));
    }
}

TEST_P(HttpConnection, HopByHopAndForgedForwardingFieldsStayHere)
{
    Acceptor backend;
    Peer client = Peer::connect(serve(to(backend)));
    client.send(
        "GET /a HTTP/1.1\r\nHost: h\r\nConnection: X-Secret, X-Forwarded-For\r\nX-Secret: 1\r\nKeep-Alive: 5\r\n"
        "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Kept: yes\r\n\r\n");
    Peer upstream = backend.accept();
    const std::string request = upstream.read_until(kEndOfHead);
    for (const char* gone : {"X-Secret", "Keep-Alive", "6.6.6.6", "evil"})
        EXPECT_EQ(request.find(gone), std::string::npos) << request;
    for (const char* kept : {"X-Kept: yes", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: h"})
        EXPECT_NE(request.find(kept), std::string::npos) << request;
}

struct OwnAnswer {
    const char* claim;
    std::string request;
    int status;
};

TEST_P(HttpConnection, WhatIsRefusedNeverReachesTheBackend)
{
    const OwnAnswer cases[] = {
        {"both framings",
         "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"bare LF", "GET / HTTP/1.1\nHost: h\n\n", 400},
        {"space before the colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
        {"above the root", "GET /../x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"an unknown version", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
        {"a long line", "GET /" + std::string(9'000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
        {"a large head", "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(40'000, 'x') + "\r\n\r\n", 431}};
    Acceptor backend;
    const std::uint16_t port = serve(to(backend));
    for (const OwnAnswer& c : cases) {
        Peer client = Peer::connect(port);
        client.send(c.request);
        EXPECT_TRUE(client.read_until(kEndOfHead).starts_with("HTTP/1.1 " + std::to_string(c.status) + " ")) << c.claim;
    }
    EXPECT_FALSE(backend.is_called(50));
}

TEST_P(HttpConnection, AnInvalidBackendIs500AndOneWithoutEndpoints503)
{
    Peer first = Peer::connect(serve({.name = "r", .backends = {backend({}, false)}}));
    first.send(kGet);
    EXPECT_TRUE(first.read_until(kEndOfHead).starts_with("HTTP/1.1 500 "));
    Peer second = Peer::connect(serve({.name = "r", .backends = {backend({})}}));
    second.send(kGet);
    EXPECT_TRUE(second.read_until(kEndOfHead).starts_with("HTTP/1.1 503 "));
}

TEST_P(HttpConnection, ABadResponseIs502)
{
    Acceptor backend;
    Peer client = Peer::connect(serve(to(backend)));
    client.send(kGet);
    Peer upstream = backend.accept();
    (void)upstream.read_until(kEndOfHead);
    upstream.send("nonsense\r\n\r\n");
    EXPECT_TRUE(client.read_until(kEndOfHead).starts_with("HTTP/1.1 502 "));
}

TEST_P(HttpConnection, AnUpgradeIsATunnelAfterTheBackends101)
{
    Acceptor backend;
    Peer client = Peer::connect(serve(to(backend)));
    client.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
    Peer upstream = backend.accept();
    const std::string request = upstream.read_until(kEndOfHead);
    EXPECT_NE(request.find("Upgrade: websocket"), std::string::npos) << request;
    EXPECT_FALSE(upstream.has_more(50)) << "bytes after the request wait for the 101";
    upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
    EXPECT_TRUE(client.read_until("hello").starts_with("HTTP/1.1 101 "));
    EXPECT_EQ(upstream.read_until("early"), "early");
    client.send("ping");
    EXPECT_EQ(upstream.read_until("ping"), "ping");
    upstream.send("pong");
    EXPECT_EQ(client.read_until("pong"), "pong");
}

// A 101 while the request's body is still due: no tunnel can begin there.
TEST_P(HttpConnection, A101BeforeTheEndOfTheBodyIs502AndTheProxyLives)
{
    Acceptor backend;
    const std::uint16_t port = serve(to(backend));
    for (int i = 0; i < 20; ++i) {
        Peer client = Peer::connect(port);
        client.send(
            "POST /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n");
        Peer upstream = backend.accept();
        (void)upstream.read_until(kEndOfHead);
        upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi");
        EXPECT_TRUE(client.read_until(kEndOfHead).starts_with("HTTP/1.1 502 "));
        client.reset();
    }
    Peer client = Peer::connect(port);
    client.send(kGet);
    Peer upstream = backend.accept();
    (void)upstream.read_until(kEndOfHead);
    upstream.send(kOk);
    EXPECT_TRUE(client.read_until("ok").starts_with("HTTP/1.1 200 "));
}

TEST_P(HttpConnection, AnUnfinishedHeadIs408)
{
    proxy::Limits limits;
    limits.header_timeout_ms = 100;
    start(limits);
    Acceptor backend;
    Peer client = Peer::connect(serve(to(backend)));
    client.send("GET / HTTP/1.1\r\nHos");
    EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 408 "));
}

TEST_P(HttpConnection, ANewPlanFailsNoRequest)
{
    Acceptor before, after;
    const std::uint16_t port = free_port();
    ASSERT_TRUE(proxy_->publish(plan_on(port, to(before)), proxy::Ingress::Bound).empty());
    Peer client = Peer::connect(port);
    client.send(kGet);
    Peer upstream = before.accept();
    (void)upstream.read_until(kEndOfHead);
    ASSERT_TRUE(proxy_->publish(plan_on(port, to(after)), proxy::Ingress::Bound).empty());
    upstream.send(kOk);
    EXPECT_TRUE(client.read_until("ok").starts_with("HTTP/1.1 200 "));
    client.send(kGet);
    Peer next = after.accept();
    (void)next.read_until(kEndOfHead);
    next.send(kOk);
    EXPECT_TRUE(client.read_until("ok").starts_with("HTTP/1.1 200 "));
}

TEST_P(HttpConnection, AnOldPlanIsNotKeptByWhatItServed)
{
    Acceptor backend;
    const std::uint16_t port = free_port();
    auto before = plan_on(port, to(backend));
    const std::weak_ptr<plan::Plan> watch = before;
    ASSERT_TRUE(proxy_->publish(std::exchange(before, nullptr), proxy::Ingress::Bound).empty());
    Peer clients[] = {Peer::connect(port), Peer::connect(port), Peer::connect(port)};
    std::vector<Peer> upstreams;
    for (Peer& client : clients) {
        client.send(kGet);
        (void)upstreams.emplace_back(backend.accept()).read_until(kEndOfHead);
    }
    const auto answer = [&](std::size_t which) {
        upstreams[which].send(kOk);
        (void)clients[which].read_until("ok");
    };
    answer(0);
    answer(1);
    ASSERT_TRUE(proxy_->publish(plan_on(port, to(backend)), proxy::Ingress::Bound).empty());
    answer(2);  // begun by the old plan
    // That is over with the turn; one more is behind it.
    clients[2].send(kGet);
    (void)upstreams[2].read_until(kEndOfHead);
    answer(2);
    EXPECT_TRUE(watch.expired());
}

TEST_P(HttpConnection, DrainEndsIdleConnectionsAndCutsWhatOutlivesIt)
{
    Acceptor backend;
    const std::uint16_t port = serve(to(backend));
    Peer idle = Peer::connect(port);
    idle.send(kGet);
    Peer first = backend.accept();
    (void)first.read_until(kEndOfHead);
    first.send(kOk);
    (void)idle.read_until("ok");
    Peer busy = Peer::connect(port);
    busy.send(kGet);
    (void)first.read_until(kEndOfHead);
    EXPECT_EQ(proxy_->drain(100, proxy::Arrivals::Refused), 1U);
    EXPECT_EQ(idle.read_all(), "");
    EXPECT_EQ(busy.read_all(), "");
}

TEST_P(HttpConnection, DrainBehindASuccessorServesWhatStillComes)
{
    Acceptor backend;
    const std::uint16_t port = serve(to(backend));
    Peer idle = Peer::connect(port);
    idle.send(kGet);
    Peer upstream = backend.accept();
    (void)upstream.read_until(kEndOfHead);
    upstream.send(kOk);
    (void)idle.read_until("ok");
    Peer late = Peer::connect(port);
    std::thread drain([this] { EXPECT_EQ(proxy_->drain(kWaitMs, proxy::Arrivals::Served), 0U); });
    const auto ask = [&](Peer& client, Peer& server) {
        client.send(kGet);
        (void)server.read_until(kEndOfHead);
        server.send(kOk);
        return client.read_until("ok");
    };
    const auto is_last = [](const std::string& answer) { return answer.find("Connection: close\r\n") != answer.npos; };
    while (!is_last(ask(idle, upstream))) {
        // the drain has not begun
    }
    late.send(kGet);
    Peer second = backend.accept();  // nothing is pooled any more
    (void)second.read_until(kEndOfHead);
    second.send(kOk);
    EXPECT_TRUE(is_last(late.read_all()));
    drain.join();
}

TEST_P(HttpConnection, ForwardedFieldsAreBelievedFromTrustedProxiesAlone)
{
    const std::string said = "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.8\r\nX-Forwarded-Proto: https\r\n"
                             "X-Forwarded-Host: outer.example\r\nForwarded: for=192.0.2.9\r\n";
    const struct {
        const char* trusted;
        const char* wanted;
    } rows[] = {
        {"192.0.2.0/24", "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"},
        {"127.0.0.0/8", "X-Forwarded-For: 192.0.2.9, 192.0.2.8, 127.0.0.1\r\nX-Forwarded-Proto: https\r\n"
                        "X-Forwarded-Host: outer.example\r\n"},
    };
    for (const auto& row : rows) {
        auto made = proxy::Proxy::make(
            {.io = GetParam(), .workers = 1, .limits = {}, .trusted_proxies = {*IpPrefix::parse(row.trusted)}});
        ASSERT_TRUE(made);
        proxy_ = *std::move(made);
        Acceptor acceptor;
        const Peer client = Peer::connect(serve(to(acceptor)));
        client.send("GET / HTTP/1.1\r\nHost: h\r\n" + said + "\r\n");
        EXPECT_EQ(acceptor.accept().read_until("\r\n\r\n"),
                  std::string("GET / HTTP/1.1\r\nHost: h\r\n") + row.wanted + "\r\n");
    }
}

TEST_P(HttpConnection, AClientThatLeavesEndsItsRequestAtTheBackend)
{
    for (const char* request :
         {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"}) {
        Acceptor acceptor;
        Peer client = Peer::connect(serve(to(acceptor)));
        client.send(request);
        Peer backend = acceptor.accept();
        (void)backend.read_until("\r\n\r\n");
        client.close();
        const std::uint64_t begun = monotonic_ms();
        (void)backend.read_all();
        EXPECT_LT(monotonic_ms() - begun, kWaitMs - 1'000U) << request;
    }
}

TEST_P(HttpConnection, TheNextRequestMayComeBeforeTheAnswer)
{
    Acceptor acceptor;
    Peer client = Peer::connect(serve(to(acceptor)));
    client.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    Peer backend = acceptor.accept();
    EXPECT_TRUE(backend.read_until("\r\n\r\n").starts_with("GET /1 "));
    client.send("GET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
    for (const char* next : {"GET /2 ", "GET /3 ", ""}) {
        backend.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        EXPECT_TRUE(client.read_until("ok").ends_with("\r\n\r\nok"));
        if (*next != '\0') {
            EXPECT_TRUE(backend.read_until("\r\n\r\n").starts_with(next));
        }
    }
}

TEST_P(HttpConnection, HeaderModifiersSetAddAndRemove)
{
    Acceptor acceptor;
    plan::HttpRule rule = to(acceptor);
    const model::HeaderModifier modifier{.set = {{"X-Set", "new"}}, .add = {{"X-Add", "2"}}, .remove = {"x-gone"}};
    rule.filters.request_headers = rule.filters.response_headers = modifier;
    Peer client = Peer::connect(serve(std::move(rule)));
    const std::string fields = "x-set: old\r\nX-Add: 1\r\nX-Gone: 1\r\n";
    const std::string wanted = "X-Add: 1\r\nX-Set: new\r\nX-Add: 2\r\n";
    client.send("GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n");
    Peer backend = acceptor.accept();
    const std::string request = backend.read_until("\r\n\r\n");
    EXPECT_NE(request.find(wanted), std::string::npos) << request;
    EXPECT_EQ(request.find("old"), std::string::npos) << request;
    EXPECT_EQ(request.find("X-Gone"), std::string::npos) << request;
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + fields + "\r\n");
    const std::string response = client.read_until("\r\n\r\n");
    EXPECT_NE(response.find(wanted), std::string::npos) << response;
    EXPECT_EQ(response.find("old"), std::string::npos) << response;
    EXPECT_EQ(response.find("X-Gone"), std::string::npos) << response;
}

TEST_P(HttpConnection, ARedirectIsAnsweredWithoutABackend)
{
    plan::HttpRule rule{.name = "r"};
    rule.filters.redirect = model::Redirect{.hostname = "b.example", .status = 301};
    const std::uint16_t port = serve(std::move(rule));
    Peer client = Peer::connect(port);
    for (const char* method : {"GET", "HEAD", "POST"}) {
        client.send(std::string(method) + " /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        const std::string answer = client.read_until("\r\n\r\n");
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 301 Moved Permanently\r\n")) << answer;
        EXPECT_NE(answer.find("location: http://b.example:" + std::to_string(port) + "/x\r\n"), std::string::npos)
            << answer;
    }
}

INSTANTIATE_TEST_SUITE_P(Io, HttpConnection, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
