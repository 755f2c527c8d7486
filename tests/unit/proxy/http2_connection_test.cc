// SPDX-License-Identifier: Apache-2.0
// HTTP/2 clients through a real proxy, before HTTP/1 and HTTP/2 backends: translation, flow control, resets, gRPC.
#include "tests/harness/http2_peer.h"

namespace sluice::test {
namespace {

const std::string kEndOfHead = "\r\n\r\n";

class Http2Connection : public ProxyTest {
protected:
    void serve_client(plan::HttpRule rule, std::uint32_t window = 65'535)
    {
        client_.emplace(Peer::connect(serve(std::move(rule))), Http2Peer::Side::Client, window);
    }
    Http2Peer& client() { return *client_; }
    std::optional<Http2Peer> client_;
    std::optional<Http2Peer> backend_;
};

TEST_P(Http2Connection, StreamsOfOneConnectionAreServedSideBySide)
{
    Acceptor backend;
    serve_client(to(backend));
    const auto first = client().request(Http2Peer::get("/1"));
    const auto second = client().request(Http2Peer::get("/2"));
    Peer one = backend.accept();
    Peer two = backend.accept();
    const std::string head = one.read_until(kEndOfHead);
    const bool is_in_order = head.starts_with("GET /1 HTTP/1.1\r\nHost: h\r\n");
    EXPECT_TRUE(is_in_order || head.starts_with("GET /2 HTTP/1.1\r\n")) << head;
    EXPECT_NE(head.find("X-Forwarded-For: 127.0.0.1\r\n"), std::string::npos) << head;
    (void)two.read_until(kEndOfHead);
    two.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\nX-A: b\r\n\r\ntwo");
    const Message& early = client().wait(is_in_order ? second : first);
    EXPECT_EQ(early.get(":status"), "200");
    EXPECT_EQ(early.get("x-a"), "b");
    EXPECT_EQ(early.get("content-length"), "3");
    EXPECT_EQ(early.get("connection"), "");
    EXPECT_EQ(early.body, "two");
    one.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n");
    EXPECT_EQ(client().wait(is_in_order ? first : second).body, "one");
}

TEST_P(Http2Connection, ABodyIsFramedByItsLengthOrInChunks)
{
    Acceptor backend;
    serve_client(to(backend));
    const Fields post{{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/p"}};
    const auto chunked = client().request(post, false);
    client().send(chunked, "abc", true, {{"x-trailer", "1"}});
    Peer one = backend.accept();
    EXPECT_TRUE(one.read_until("0\r\n\r\n").ends_with("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
    one.send("HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_EQ(client().wait(chunked).get(":status"), "204");
    Fields with_length = post;
    with_length.emplace_back("content-length", "3");
    const auto sized = client().request(with_length, false);
    client().send(sized, "xyz", true);
    const std::string request = one.read_until("xyz");
    EXPECT_NE(request.find("Content-Length: 3\r\n"), std::string::npos) << request;
    EXPECT_EQ(request.find("Transfer-Encoding"), std::string::npos) << request;
    one.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(client().wait(sized).get(":status"), "200");
    const auto empty = client().request(post);
    EXPECT_NE(one.read_until(kEndOfHead).find("Content-Length: 0\r\n"), std::string::npos);
    one.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(client().wait(empty).get(":status"), "200");
}

TEST_P(Http2Connection, CookieCrumbsAreOneField)
{
    Acceptor backend;
    serve_client(to(backend));
    client().request(Http2Peer::get("/", {{"cookie", "a=1"}, {"x", "y"}, {"cookie", "b=2"}}));
    EXPECT_NE(backend.accept().read_until(kEndOfHead).find("cookie: a=1; b=2\r\n"), std::string::npos);
}

TEST_P(Http2Connection, WhatCouldSmuggleIsRefused)
{
    struct Case {
        const char* claim;
        Fields head;
        const char* status;  // empty: the stream or the connection ends with an error
    };
    const auto get = [](const char* path, Fields more = {}) { return Http2Peer::get(path, std::move(more)); };
    const Case cases[] = {
        {"two authorities that differ", get("/", {{"host", "other"}}), "400"},
        {"an authority that is none",
         {{":method", "GET"}, {":scheme", "http"}, {":authority", "a b"}, {":path", "/"}},
         ""},
        {"no authority at all", {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}, ""},
        {"a path with a space", get("/a b"), ""},
        {"a path with a fragment", get("/a#b"), "400"},
        {"a path without a slash", get("a"), ""},
        {"an encoded slash", get("/a%2fb"), "400"},
        {"an underscore in a name", get("/", {{"content_length", "3"}}), "400"},
        {"CONNECT", {{":method", "CONNECT"}, {":authority", "h"}}, "501"},
        {"a line break in a value", get("/", {{"x", "a\r\nb: c"}}), ""},
        {"Transfer-Encoding", get("/", {{"transfer-encoding", "chunked"}}), ""},
        {"Connection", get("/", {{"connection", "close"}}), ""},
        {"a length without a body", get("/", {{"content-length", "3"}}), ""},
        {"two lengths", get("/", {{"content-length", "0"}, {"content-length", "0"}}), ""},
    };
    Acceptor backend;
    for (const Case& c : cases) {
        serve_client(to(backend));
        const auto id = client().request(c.head);
        EXPECT_TRUE(client().pump_until([&] {
            return client()[id].ended || client()[id].error != 0 || client().went_away();
        })) << c.claim;
        EXPECT_EQ(client()[id].get(":status"), c.status) << c.claim;
        EXPECT_FALSE(backend.is_called(0)) << c.claim;
    }
}

TEST_P(Http2Connection, AHeadThatIsTooLargeIs431)
{
    Acceptor backend;
    serve_client(to(backend));
    Fields many;
    for (int i = 0; i < 150; ++i)
        many.emplace_back("x-" + std::to_string(i), "v");
    EXPECT_EQ(client().wait(client().request(Http2Peer::get("/", many))).get(":status"), "431");
    EXPECT_EQ(client().wait(client().request(Http2Peer::get("/", {{"big", std::string(40'000, 'a')}}))).get(":status"),
              "431");
    EXPECT_FALSE(backend.is_called(0));
}

TEST_P(Http2Connection, AResetEndsTheBackendsConnectionAndNoOtherStream)
{
    Acceptor backend;
    serve_client(to(backend));
    const auto id = client().request(Http2Peer::get("/1"));
    Peer one = backend.accept();
    (void)one.read_until(kEndOfHead);
    client().reset(id, NGHTTP2_CANCEL);
    EXPECT_EQ(one.read_all(), "");
    const auto next = client().request(Http2Peer::get("/2"));
    Peer two = backend.accept();
    (void)two.read_until(kEndOfHead);
    two.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_EQ(client().wait(next).body, "ok");
}

TEST_P(Http2Connection, WhatIsResetInTheSameReadNeverReachesTheBackend)
{
    using namespace std::string_literals;
    const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"s;
    const std::string given_up = "\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x01\x01h"s;
    const std::string wanted = "\0\0\x0c\x01\x05\0\0\0\x03\x82\x86\x04\x05/next\x01\x01h"s;
    Acceptor backend;
    const std::uint16_t port = serve(to(backend));
    const std::string by_client = "\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08"s;  // rapid reset, CVE-2023-44487
    const Peer resetting = Peer::connect(port);
    resetting.send(preface + given_up + by_client + wanted);
    Peer one = backend.accept();
    const std::string head = one.read_until(kEndOfHead);
    EXPECT_TRUE(head.starts_with("GET /next ")) << head;
    const std::string by_us = "\0\0\x04\x08\0\0\0\0\x01\x7f\xff\xff\xff"s;  // a window above its limit, CVE-2025-8671
    Peer provoking = Peer::connect(port);
    provoking.send(preface + given_up + by_us + wanted);
    EXPECT_NE(provoking.read_all().find("\x07\0\0\0\0\0"s), std::string::npos) << "no GOAWAY";
    EXPECT_FALSE(backend.is_called(0));
}

// RFC 9113 section 5.1: what was on its way to a stream that we reset is ignored, also where it never became one.
TEST_P(Http2Connection, DataForARefusedStreamHarmsNoOther)
{
    using namespace std::string_literals;
    const auto head = [](std::uint8_t id) {
        return "\0\0\x06\x01\x04\0\0\0"s + static_cast<char>(id) + "\x82\x86\x84\x01\x01h"s;  // does not end it
    };
    Acceptor backend;
    Peer client = Peer::connect(serve(to(backend)));
    std::string burst = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"s;
    for (std::uint8_t id = 1; id <= 201; id += 2)
        burst += head(id);
    client.send(burst);
    const std::string refused = "\0\0\x04\x03\0\0\0\0\xc9\0\0\0\x07"s;
    EXPECT_TRUE(client.read_until(refused).ends_with(refused));
    const std::string first_given_up = "\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08"s;
    const std::string data = "\0\0\x01\0\0\0\0\0\xc9x"s;
    const std::string ping = "\0\0\x08\x06\0\0\0\0\0pingpong"s;
    client.send(first_given_up + head(203) + data + ping);
    EXPECT_NE(client.read_until("pingpong").find("\0\0\x08\x06\x01\0\0\0\0pingpong"s), std::string::npos);
}

TEST_P(Http2Connection, ABackendThatDiesAmidTheBodyResetsTheStream)
{
    Acceptor backend;
    serve_client(to(backend));
    const auto id = client().request(Http2Peer::get("/"));
    Peer one = backend.accept();
    (void)one.read_until(kEndOfHead);
    one.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    one.close();
    const Message& answer = client().wait(id);
    EXPECT_FALSE(answer.ended);
    EXPECT_EQ(answer.error, static_cast<std::uint32_t>(NGHTTP2_INTERNAL_ERROR));
}

TEST_P(Http2Connection, AnEarlyAnswerComesWholeAndTheRestOfTheRequestIsNotWanted)
{
    Acceptor backend;
    serve_client(to(backend));
    const auto id =
        client().request({{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}, false);
    Peer one = backend.accept();
    (void)one.read_until(kEndOfHead);
    one.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    ASSERT_TRUE(client().pump_until([&] { return client()[id].closed; }));
    EXPECT_EQ(client()[id].get(":status"), "413");
    EXPECT_EQ(client()[id].body, "no");
    EXPECT_EQ(client()[id].error, static_cast<std::uint32_t>(NGHTTP2_NO_ERROR));
}

TEST_P(Http2Connection, AWindowThatIsUsedUpStopsOneStreamAlone)
{
    Acceptor backend(4096);
    serve_client(to(backend), 1'000);
    const auto big = client().request(Http2Peer::get("/big"));
    Peer one = backend.accept();
    (void)one.read_until(kEndOfHead);
    one.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x'));
    const Message& answer = client().wait(big);  // nghttp2 opens the window as it reads
    EXPECT_EQ(answer.body.size(), 100'000U);
    EXPECT_TRUE(answer.ended);
}

TEST_P(Http2Connection, DrainSaysGoawayAndFinishesWhatIsUnderWay)
{
    Acceptor backend;
    serve_client(to(backend));
    const auto id = client().request(Http2Peer::get("/"));
    Peer one = backend.accept();
    (void)one.read_until(kEndOfHead);
    std::thread drain([this] { EXPECT_EQ(proxy_->drain(kWaitMs, proxy::Arrivals::Refused), 0U); });
    EXPECT_TRUE(client().pump_until([&] { return client().went_away(); }));
    one.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_EQ(client().wait(id).body, "ok");
    EXPECT_FALSE(client().pump_until([&] { return false; }));
    EXPECT_TRUE(client().is_closed());
    drain.join();
}

TEST_P(Http2Connection, RequestsToAnHttp2BackendShareOneConnection)
{
    Acceptor acceptor;
    serve_client(to_http2(acceptor));
    const auto first = client().request(Http2Peer::get("/1", {{"te", "trailers"}}));
    Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
    const auto one = backend.next_request();
    const auto second = client().request(Http2Peer::get("/2"));
    const auto two = backend.next_request();
    EXPECT_EQ(backend[one].get(":path"), "/1");
    EXPECT_EQ(backend[one].get(":authority"), "h");
    EXPECT_EQ(backend[one].get("te"), "trailers");
    EXPECT_EQ(backend[one].get("x-forwarded-for"), "127.0.0.1");
    EXPECT_TRUE(backend[one].ended);
    backend.respond(two, {{":status", "204"}});
    EXPECT_EQ(client().wait(second).get(":status"), "204");
    backend.respond(one, {{":status", "200"}, {"x-a", "b"}}, false);
    backend.send(one, "data", true, {{"grpc-status", "0"}});
    const Message& answer = client().wait(first);
    EXPECT_EQ(answer.body, "data");
    EXPECT_EQ(answer.get("grpc-status"), "0");
    EXPECT_FALSE(acceptor.is_called(0));
}

TEST_P(Http2Connection, AWholeAnswerInOneSegmentIsPassedOn)
{
    Acceptor acceptor;
    serve_client(to_http2(acceptor));
    for (const bool has_body : {true, false}) {
        const auto id = client().request(Http2Peer::get("/"));
        if (!backend_)
            backend_.emplace(acceptor.accept(), Http2Peer::Side::Server);
        const auto at = backend_->next_request();
        backend_->respond_whole(at, {{":status", "200"}}, has_body ? "body" : "");
        EXPECT_EQ(client().wait(id).body, has_body ? "body" : "");
    }
}

TEST_P(Http2Connection, AStreamTheBackendRefusedGoesAgain)
{
    Acceptor acceptor;
    serve_client(to_http2(acceptor));
    const auto id = client().request({{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}});
    Http2Peer first(acceptor.accept(), Http2Peer::Side::Server);
    first.reset(first.next_request(), NGHTTP2_REFUSED_STREAM);
    Http2Peer second(acceptor.accept(), Http2Peer::Side::Server);
    second.respond(second.next_request(), {{":status", "204"}});
    EXPECT_EQ(client().wait(id).get(":status"), "204");
}

TEST_P(Http2Connection, AfterAGoawayNewRequestsTakeANewConnection)
{
    Acceptor acceptor;
    serve_client(to_http2(acceptor));
    const auto first = client().request(Http2Peer::get("/1"));
    Http2Peer old(acceptor.accept(), Http2Peer::Side::Server);
    const auto under_way = old.next_request();
    old.go_away(under_way);
    // The answer behind the GOAWAY shows that the proxy has read it.
    old.respond(under_way, {{":status", "204"}});
    EXPECT_EQ(client().wait(first).get(":status"), "204");
    const auto second = client().request(Http2Peer::get("/2"));
    Http2Peer fresh(acceptor.accept(), Http2Peer::Side::Server);
    fresh.respond(fresh.next_request(), {{":status", "204"}});
    EXPECT_EQ(client().wait(second).get(":status"), "204");
}

TEST_P(Http2Connection, BodiesBothWaysAtOnce)
{
    Acceptor acceptor;
    serve_client(to_http2(acceptor));
    const auto id =
        client().request({{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}, false);
    Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
    const auto at = backend.next_request();
    backend.respond(at, {{":status", "200"}}, false);
    for (int i = 0; i < 3; ++i) {
        const std::string ping = "ping" + std::to_string(i);
        client().send(id, ping, false);
        EXPECT_TRUE(backend.pump_until([&] { return backend[at].body.ends_with(ping); }));
        backend.send(at, "pong" + ping, false);
        EXPECT_TRUE(client().pump_until([&] { return client()[id].body.ends_with("pong" + ping); }));
    }
    client().send(id, std::string(200'000, 'u'), true);
    EXPECT_TRUE(backend.pump_until([&] { return backend[at].ended; }, &client()));
    EXPECT_EQ(backend[at].body.size(), 15U + 200'000U);
    backend.send(at, std::string(200'000, 'd'), true);
    EXPECT_TRUE(client().pump_until([&] { return client()[id].ended; }, &backend));
    EXPECT_EQ(client()[id].body.size(), 27U + 200'000U);
}

TEST_P(Http2Connection, ErrorsOfOursReachAGrpcClientAsItsStatus)
{
    const Fields call{{":method", "POST"},
                      {":scheme", "http"},
                      {":authority", "h"},
                      {":path", "/s/m"},
                      {"content-type", "application/grpc+proto"},
                      {"grpc-timeout", "50m"}};
    Acceptor acceptor;
    serve_client(to_http2(acceptor));
    const auto late = client().request(call);
    Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
    (void)backend.next_request();
    const Message& timeout = client().wait(late);
    EXPECT_EQ(timeout.get(":status"), "200");
    EXPECT_EQ(timeout.get("grpc-status"), "4");
    EXPECT_EQ(timeout.get("content-type"), "application/grpc");
    EXPECT_TRUE(timeout.ended);
    // The backend keeps the same time: what it resets then is no failure of the backend.
    Fields short_call = call;
    short_call.back().second = "1m";
    for (int i = 0; i < 20; ++i) {
        const auto id = client().request(short_call);
        const auto at = backend.next_request();
        const std::uint64_t arrived = monotonic_ms();  // the gateway's time runs already
        while (monotonic_ms() < arrived + 3) {
        }
        backend.reset(at, NGHTTP2_CANCEL);
        EXPECT_EQ(client().wait(id).get("grpc-status"), "4");
    }
    serve_client({.name = "r", .backends = {ProxyTest::backend({}, false)}});
    EXPECT_EQ(client().wait(client().request(call)).get("grpc-status"), "14");
}

TEST_P(Http2Connection, AnHttp1ClientReachesAnHttp2Backend)
{
    Acceptor acceptor;
    Peer client = Peer::connect(serve(to_http2(acceptor)));
    client.send(
        "POST /a?b HTTP/1.1\r\nHost: h\r\nX-Upper: V\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
    const auto at = backend.next_request();
    EXPECT_TRUE(backend.pump_until([&] { return backend[at].ended; }));
    EXPECT_EQ(backend[at].get(":path"), "/a?b");
    EXPECT_EQ(backend[at].get("x-upper"), "V");
    EXPECT_EQ(backend[at].get("transfer-encoding"), "");
    EXPECT_EQ(backend[at].body, "abc");
    backend.respond(at, {{":status", "200"}}, false);
    backend.send(at, "hello", true, {{"x-trailer", "1"}});
    const std::string answer = client.read_until("0\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n")) << answer;
}

TEST_P(Http2Connection, TrailersWithoutDataEndTheRequest)
{
    const Fields post{{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}};
    Acceptor http1;
    serve_client(to(http1));
    const auto first = client().request(post, false);
    client().send(first, "", true, {{"x-trailer", "1"}});
    Peer one = http1.accept();
    EXPECT_TRUE(one.read_until("0\r\n\r\n").ends_with("0\r\n\r\n"));
    one.send("HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_EQ(client().wait(first).get(":status"), "204");
    Acceptor http2;
    serve_client(to_http2(http2));
    const auto second = client().request(post, false);
    client().send(second, "", true, {{"x-trailer", "1"}});
    Http2Peer backend(http2.accept(), Http2Peer::Side::Server);
    const auto at = backend.next_request();
    EXPECT_TRUE(backend.pump_until([&] { return backend[at].ended; }));
    EXPECT_EQ(backend[at].get("x-trailer"), "1");
    backend.respond(at, {{":status", "204"}});
    EXPECT_EQ(client().wait(second).get(":status"), "204");
}

TEST_P(Http2Connection, AnAnswerWithoutABodyEndsForAnHttp1Client)
{
    Acceptor acceptor;
    Peer client = Peer::connect(serve(to_http2(acceptor)));
    std::optional<Http2Peer> backend;
    for (const char* method : {"GET", "HEAD", "GET"}) {
        client.send(std::string(method) + " / HTTP/1.1\r\nHost: h\r\n\r\n");
        if (!backend)
            backend.emplace(acceptor.accept(), Http2Peer::Side::Server);
        const auto at = backend->next_request();
        const bool is_head = std::string_view(method) == "HEAD";
        backend->respond(at, {{":status", "200"}}, !is_head);
        if (is_head)
            backend->send(at, "", true);
        const std::string head = client.read_until(kEndOfHead);
        EXPECT_EQ(head.find("Content-Length: 0\r\n") == std::string::npos, is_head) << head;
        EXPECT_EQ(head.find("Transfer-Encoding"), std::string::npos) << head;
    }
    EXPECT_FALSE(client.has_more(20));
}

TEST_P(Http2Connection, AWholeAnswerOutlivesItsConnectionWhileTheClientReadsSlowly)
{
    Acceptor acceptor;
    serve_client(to_http2(acceptor), 1'000);
    const auto id = client().request(Http2Peer::get("/"));
    {
        Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
        const auto at = backend.next_request();
        backend.respond_whole(at, {{":status", "200"}}, std::string(40'000, 'x'));
        ASSERT_TRUE(client().pump_until([&] { return client()[id].has_head; }));
    }
    EXPECT_EQ(client().wait(id).body.size(), 40'000U);
    EXPECT_TRUE(client()[id].ended);
}

TEST_P(Http2Connection, AnEmptyBodyThatDataEndsStaysOne)
{
    const Fields call{{":method", "POST"},
                      {":scheme", "http"},
                      {":authority", "h"},
                      {":path", "/s/m"},
                      {"content-type", "application/grpc"}};
    Acceptor http2;
    serve_client(to_http2(http2));
    const auto id = client().request(call, false);
    client().send(id, "", true);
    Http2Peer backend(http2.accept(), Http2Peer::Side::Server);
    const auto at = backend.next_request();
    ASSERT_TRUE(backend.pump_until([&] { return backend[at].ended; }));
    EXPECT_FALSE(backend[at].head_ended) << "gRPC servers wait for DATA";
    EXPECT_EQ(backend[at].get("content-length"), "");
}

TEST_P(Http2Connection, ARefusedHeadHasNoBody)
{
    Acceptor acceptor;
    serve_client(to(acceptor));
    Fields head = Http2Peer::get("/", {{"a_b", "1"}});
    head.front().second = "HEAD";
    const Message& refused = client().wait(client().request(head));
    EXPECT_EQ(refused.get(":status"), "400");
    EXPECT_EQ(refused.body, "");
}

TEST_P(Http2Connection, CancelledDownloadsDoNotHarmOtherClientsOfTheSameBackend)
{
    Acceptor acceptor;
    const std::uint16_t port = serve(to_http2(acceptor));
    Http2Peer good(Peer::connect(port), Http2Peer::Side::Client);
    Http2Peer bad(Peer::connect(port), Http2Peer::Side::Client);
    const auto mine = good.request(Http2Peer::get("/mine"));
    Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
    const auto at_mine = backend.next_request();
    for (int round = 0; round < 30; ++round) {
        const auto id = bad.request(Http2Peer::get("/big"));
        const auto at = backend.next_request();
        backend.respond(at, {{":status", "200"}}, false);
        ASSERT_TRUE(bad.pump_until([&] { return bad[id].has_head; }));
        bad.reset(id, NGHTTP2_CANCEL);
        ASSERT_TRUE(readable(backend.peer().fd()));  // the reset; what follows was sent before it is seen
        for (int i = 0; i < 60; ++i)
            backend.send(at, std::string(1'000, 'x'), false);
    }
    backend.respond(at_mine, {{":status", "200"}});
    EXPECT_EQ(good.wait(mine).get(":status"), "200");
    EXPECT_FALSE(backend.went_away());
}

TEST_P(Http2Connection, AClientThatReadsNothingIsGivenUp)
{
    proxy::Limits limits;
    limits.idle_timeout_ms = 300;
    start(limits);
    Acceptor acceptor;
    Http2Peer client(Peer::connect(serve(to(acceptor)), 4096), Http2Peer::Side::Client, 1U << 30U);
    client.request(Http2Peer::get("/"));
    Peer backend = acceptor.accept();
    (void)backend.read_until(kEndOfHead);
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    const std::string block(65'536, 'x');
    const std::uint64_t deadline = monotonic_ms() + kWaitMs;
    ssize_t sent = 0;
    while ((sent >= 0 || errno == EAGAIN) && monotonic_ms() < deadline) {
        pollfd writable{backend.fd(), POLLOUT, 0};
        ::poll(&writable, 1, 50);
        sent = ::send(backend.fd(), block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    EXPECT_LT(monotonic_ms(), deadline) << "the backend is held by a client that reads nothing";
}

TEST_P(Http2Connection, AHeadThatDoesNotEndIsGivenUp)
{
    proxy::Limits limits;
    limits.header_timeout_ms = 200;
    start(limits);
    Acceptor acceptor;
    Peer client = Peer::connect(serve(to(acceptor)));
    constexpr std::string_view kHeadersWithoutEnd("\0\0\4\1\0\0\0\0\1\x82\x86\x84\x41", 13);
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string(9, '\0').replace(3, 1, 1, '\4') +
                std::string(kHeadersWithoutEnd));
    const std::uint64_t begun = monotonic_ms();
    (void)client.read_all();
    EXPECT_LT(monotonic_ms() - begun, 3'000U);
}

INSTANTIATE_TEST_SUITE_P(Io, Http2Connection, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
