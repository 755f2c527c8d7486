// SPDX-License-Identifier: Apache-2.0
// HTTP/2 backends behind a real proxy: sharing of connections, GOAWAY and refusals, bodies and trailers.
#include "tests/harness/held_worker.h"
#include "tests/harness/http2_peer.h"

namespace sluice::test {
namespace {

class Http2Backend : public Http2ClientTest {};

TEST_P(Http2Backend, RequestsToAnHttp2BackendShareOneConnection)
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

TEST_P(Http2Backend, AWholeAnswerInOneSegmentIsPassedOn)
{
    Acceptor acceptor;
    serve_client(to_http2(acceptor));
    std::optional<Http2Peer> backend;
    for (const bool has_body : {true, false}) {
        const auto id = client().request(Http2Peer::get("/"));
        if (!backend)
            backend.emplace(acceptor.accept(), Http2Peer::Side::Server);
        const auto at = backend->next_request();
        backend->respond_whole(at, {{":status", "200"}}, has_body ? "body" : "");
        EXPECT_EQ(client().wait(id).body, has_body ? "body" : "");
    }
}

TEST_P(Http2Backend, AStreamTheBackendRefusedGoesAgain)
{
    Acceptor acceptor;
    serve_client(to_http2(acceptor));
    const auto id = client().request({{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}});
    Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
    backend.reset(backend.next_request(), NGHTTP2_REFUSED_STREAM);
    backend.respond(backend.next_request(), {{":status", "204"}});
    EXPECT_EQ(client().wait(id).get(":status"), "204");
    EXPECT_FALSE(acceptor.is_called(0)) << "its connection serves on";
}

TEST_P(Http2Backend, AStreamTheBackendBrokeOffIs502AndItsConnectionServesOn)
{
    Acceptor acceptor;
    serve_client(to_http2(acceptor));
    std::optional<Http2Peer> backend;
    for (int i = 0; i < 3; ++i) {
        const auto id = client().request(Http2Peer::get("/"));
        if (!backend)
            backend.emplace(acceptor.accept(), Http2Peer::Side::Server);
        backend->reset(backend->next_request(), NGHTTP2_INTERNAL_ERROR);
        EXPECT_EQ(client().wait(id).get(":status"), "502");
    }
    EXPECT_FALSE(acceptor.is_called(0));
}

TEST_P(Http2Backend, ARefusedRequestIsNotRepeatedWithoutItsTrailers)
{
    Acceptor acceptor;
    serve_client(to_http2(acceptor));
    const auto id =
        client().request({{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}, false);
    client().send(id, "", true, {{"x-trailer", "1"}});
    Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
    const auto at = backend.next_request();
    ASSERT_TRUE(backend.pump_until([&] { return backend[at].ended; }));
    backend.reset(at, NGHTTP2_REFUSED_STREAM);
    EXPECT_EQ(client().wait(id).get(":status"), "503");
}

TEST_P(Http2Backend, AfterAGoawayNewRequestsTakeANewConnection)
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

TEST_P(Http2Backend, AConnectionThatNobodyUsesIsClosed)
{
    start({.upstream_idle_timeout_ms = 50});
    for (const bool is_answered : {true, false}) {
        SCOPED_TRACE(is_answered ? "its last request was answered" : "its last caller left");
        Acceptor acceptor;
        serve_client(to_http2(acceptor));
        const auto id = client().request(Http2Peer::get("/"));
        Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
        const auto at = backend.next_request();
        if (is_answered)
            backend.respond(at, {{":status", "204"}});
        else
            client().reset(id, NGHTTP2_CANCEL);
        EXPECT_TRUE(backend.pump_until([&] { return backend.is_closed(); }));
    }
}

TEST_P(Http2Backend, AConnectionIsClosedThoughRequestsThatWereGivenUpWaitForItsRoom)
{
    start({.upstream_idle_timeout_ms = 50});
    Acceptor acceptor;
    serve_client(to_http2(acceptor));
    const auto first = client().request(Http2Peer::get("/1"));
    Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
    const auto one = backend.next_request();
    std::int32_t second = 0;
    {
        const HeldWorker held;
        second = client().request(Http2Peer::get("/2"));
        backend.allow_streams(0);
    }
    client().reset(second, NGHTTP2_CANCEL);
    backend.respond(one, {{":status", "204"}});
    EXPECT_EQ(client().wait(first).get(":status"), "204");
    EXPECT_TRUE(backend.pump_until([&] { return backend.is_closed(); }));
}

TEST_P(Http2Backend, BodiesBothWaysAtOnce)
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

TEST_P(Http2Backend, AnHttp1ClientReachesAnHttp2Backend)
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

TEST_P(Http2Backend, TrailersWithoutDataEndTheRequest)
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

TEST_P(Http2Backend, AnAnswerWithoutABodyEndsForAnHttp1Client)
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
        const std::string head = client.read_until("\r\n\r\n");
        EXPECT_EQ(head.find("Content-Length: 0\r\n") == std::string::npos, is_head) << head;
        EXPECT_EQ(head.find("Transfer-Encoding"), std::string::npos) << head;
    }
    EXPECT_FALSE(client.has_more(20));
}

TEST_P(Http2Backend, AWholeAnswerOutlivesItsConnectionWhileTheClientReadsSlowly)
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

TEST_P(Http2Backend, AWholeEarlyAnswerOutlivesItsConnectionToo)
{
    Acceptor acceptor;
    serve_client(to_http2(acceptor), 1'000);
    const auto id =
        client().request({{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}, false);
    {
        Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
        const auto at = backend.next_request();
        backend.respond_whole(at, {{":status", "200"}}, std::string(40'000, 'x'));
        ASSERT_TRUE(client().pump_until([&] { return client()[id].has_head; }));
    }
    EXPECT_EQ(client().wait(id).body.size(), 40'000U);
    EXPECT_TRUE(client()[id].ended);
}

TEST_P(Http2Backend, AnEmptyBodyThatDataEndsStaysOne)
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

TEST_P(Http2Backend, CancelledDownloadsDoNotHarmOtherClientsOfTheSameBackend)
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

INSTANTIATE_TEST_SUITE_P(Io, Http2Backend, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
