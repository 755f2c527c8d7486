// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 connections to backends that are reused, lost or never made: when a request goes to another one.
#include "tests/harness/held_worker.h"

namespace sluice::test {
namespace {

using Http1Upstream = ProxyTest;

const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const std::string kEndOfHead = "\r\n\r\n";

TEST_P(Http1Upstream, AnIdempotentRequestOnAPooledConnectionThatDiedIsSentAgain)
{
    Acceptor backend;
    Peer client = Peer::connect(serve(to(backend)));
    client.send(kGet);
    Peer first = backend.accept();
    (void)first.read_until(kEndOfHead);
    first.send(kOk);
    (void)client.read_until("ok");
    client.send(kGet);
    (void)first.read_until(kEndOfHead);
    first.reset();
    Peer second = backend.accept();
    EXPECT_TRUE(second.read_until(kEndOfHead).starts_with("GET "));
    second.send(kOk);
    EXPECT_TRUE(client.read_until("ok").starts_with("HTTP/1.1 200 "));
}

TEST_P(Http1Upstream, APooledConnectionThatNobodyUsesIsClosed)
{
    start({.upstream_idle_timeout_ms = 50});
    Acceptor backend;
    Peer client = Peer::connect(serve(to(backend)));
    client.send(kGet);
    Peer first = backend.accept();
    (void)first.read_until(kEndOfHead);
    first.send(kOk);
    EXPECT_EQ(first.read_all(), "");
    (void)client.read_until("ok");
    client.send(kGet);
    Peer second = backend.accept();
    EXPECT_TRUE(second.read_until(kEndOfHead).starts_with("GET "));
}

TEST_P(Http1Upstream, ADeadEndpointOfTwoIsNeverSeenByAClient)
{
    Acceptor alive;
    const std::uint16_t dead = free_port();
    const std::uint16_t port = serve({.name = "r", .backends = {backend({at(alive.port()), at(dead)})}});
    for (int i = 0; i < 60; ++i) {
        Peer client = Peer::connect(port);
        client.send("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        Peer upstream = alive.accept();
        ASSERT_NE(upstream.fd(), -1) << "request " << i << ": " << client.read_until(kEndOfHead);
        (void)upstream.read_until(kEndOfHead);
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        ASSERT_TRUE(client.read_all().starts_with("HTTP/1.1 200 ")) << "request " << i;
    }
}

TEST_P(Http1Upstream, ExpectIsAnsweredBeforeTheBodyEvenAfterAFailedConnect)
{
    Acceptor alive;
    const std::uint16_t port = serve({.name = "r", .backends = {backend({at(alive.port()), at(free_port())})}});
    for (int i = 0; i < 10; ++i) {
        Peer client = Peer::connect(port);
        client.send(
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
        Peer upstream = alive.accept();
        ASSERT_EQ(client.read_until(kEndOfHead), "HTTP/1.1 100 Continue\r\n\r\n") << "request " << i;
        client.send("body");
        EXPECT_TRUE(upstream.read_until("body").ends_with("\r\n\r\nbody"));
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        ASSERT_TRUE(client.read_all().starts_with("HTTP/1.1 200 "));
    }
}

// RFC 9110 section 9.2.2 lets only idempotent ones go again, unless it is known that the first did not arrive.
TEST_P(Http1Upstream, ARequestThatDidNotLeaveGoesToAnotherConnectionByAnyMethod)
{
    const std::string post = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    const struct {
        const char* claim;
        void (*act)(Peer& backend);
    } rows[] = {
        {"the backend closes", [](Peer& backend) { backend.close(); }},
        {"the backend resets", [](Peer& backend) { backend.reset(); }},
        {"the backend speaks unasked", [](Peer& backend) { backend.send(kOk); }},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.claim);
        Acceptor backend;
        Peer client = Peer::connect(serve(to(backend)));
        client.send(kGet);
        Peer first = backend.accept();
        (void)first.read_until(kEndOfHead);
        first.send(kOk);
        (void)client.read_until("ok");
        {
            const HeldWorker held;
            client.send(post);
            row.act(first);
        }
        Peer second = backend.accept();
        EXPECT_TRUE(second.read_until(kEndOfHead).starts_with("POST "));
        if (first.fd() >= 0) {
            EXPECT_EQ(first.read_all(), "");
        }
        second.send("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
        EXPECT_TRUE(client.read_until("ok").starts_with("HTTP/1.1 201 "));
    }
}

TEST_P(Http1Upstream, AConnectionWhoseEndCameWithItsAnswerServesNobodyElse)
{
    if (GetParam() == proxy::IoKind::IoUring)
        GTEST_SKIP() << "a ring is asked for the end, and answers in the next turn";
    Acceptor backend;
    const std::uint16_t port = serve(to(backend));
    Peer other = Peer::connect(port);
    other.send(kGet);
    Peer unshared = backend.accept();
    (void)unshared.read_until(kEndOfHead);
    unshared.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    (void)other.read_until("ok");
    Peer client = Peer::connect(port);
    client.send(kGet);
    Peer first = backend.accept();
    (void)first.read_until(kEndOfHead);
    {
        const HeldWorker held;
        first.send(kOk);
        first.close();
        other.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    }
    Peer second = backend.accept();
    EXPECT_TRUE(second.read_until(kEndOfHead).starts_with("POST "));
    second.send("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_TRUE(other.read_until("ok").starts_with("HTTP/1.1 201 "));
    EXPECT_TRUE(client.read_until("ok").starts_with("HTTP/1.1 200 "));
}

INSTANTIATE_TEST_SUITE_P(Io, Http1Upstream, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
