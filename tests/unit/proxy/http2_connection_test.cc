// SPDX-License-Identifier: Apache-2.0
// HTTP/2 clients through a real proxy: what they send and are told, flow control, resets, limits, gRPC.
#include "tests/harness/http2_peer.h"

namespace sluice::test {
namespace {

const std::string kEndOfHead = "\r\n\r\n";

class Http2Connection : public Http2ClientTest {};

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

const std::string kPreface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 33);

// Type and flags by RFC 9113 section 6.
std::string frame(int type, int flags, int id, const std::string& payload)
{
    const auto byte = [](int value) { return static_cast<char>(value & 0xff); };
    return std::string{0,
                       byte(static_cast<int>(payload.size()) >> 8),
                       byte(static_cast<int>(payload.size())),
                       byte(type),
                       byte(flags),
                       0,
                       0,
                       byte(id >> 8),
                       byte(id)} +
           payload;
}
// Streams that are given up at once.
std::string resets(int first_id, int count)
{
    std::string all;
    for (int i = 0; i < count; ++i)
        all += frame(1, 5, first_id + 2 * i, "\x82\x86\x84\x01\x01h") +
               frame(3, 0, first_id + 2 * i, std::string("\0\0\0\x08", 4));
    return all;
}

// Who resets many is heard slowly, but what follows is not lost.
TEST_P(Http2Connection, WhatComesBehindManyResetsIsServedLater)
{
    constexpr int kResets = 300;
    Acceptor backend;
    Peer client = Peer::connect(serve(to(backend)));
    client.send(kPreface + frame(1, 5, 1, "\x82\x86\x84\x01\x01h"));
    Peer one = backend.accept();
    (void)one.read_until(kEndOfHead);
    one.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
    EXPECT_TRUE(client.read_until("first").ends_with("first"));
    const std::uint64_t sent_ms = monotonic_ms();
    client.send(resets(3, kResets) + frame(1, 5, 3 + 2 * kResets, "\x82\x86\x04\x05/next\x01\x01h"));
    const std::string head = one.read_until(kEndOfHead);
    EXPECT_TRUE(head.starts_with("GET /next ")) << head;
    EXPECT_GE(monotonic_ms() - sent_ms, 100U);
}

TEST_P(Http2Connection, WhatEndsWhereItIsHeardSlowlyIsWhole)
{
    Acceptor backend;
    Peer client = Peer::connect(serve(to(backend)));
    const std::string trailers = frame(1, 5, 1, std::string("\0\x01t\x01u", 5));
    client.send(kPreface + frame(1, 4, 1, "\x83\x86\x84\x01\x01h") + resets(3, 9) + trailers);
    const std::string end_of_body = "\r\n\r\n0\r\n\r\n";
    EXPECT_TRUE(backend.accept().read_until(end_of_body).ends_with(end_of_body));
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
