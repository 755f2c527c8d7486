// SPDX-License-Identifier: Apache-2.0
// TLSRoutes through a real proxy: what passes through, what is decrypted, and how that reaches backends with TLS.
#include <thread>

#include "tests/unit/proxy/tls_peer.h"

namespace sluice::test {
namespace {

class TlsRelay : public TlsProxyTest {
protected:
    static plan::TlsHost passing(const std::string& name, const Acceptor& to)
    {
        return {.listener = "default/g/tls",
                .hostname = name,
                .route = "default/r",
                .backends = {backend({at(to.port())})}};
    }
    static plan::TlsHost ending(const std::string& name, const Acceptor& to)
    {
        plan::TlsHost host = passing(name, to);
        host.termination = termination(name);
        return host;
    }
    // Has the host's backend spoken to over TLS, by the name backend.example.
    static plan::TlsHost over_tls(plan::TlsHost host, const std::string& ca_pem = tls::authority().pem)
    {
        plan::BackendTls policy{.hostname = "backend.example"};
        policy.ca_pem = ca_pem;
        host.backends.front().tls = policy;
        return host;
    }
};

TEST_P(TlsRelay, PassthroughRelaysTheHandshakeToTheBackendOfTheName)
{
    Acceptor a, b;
    const std::uint16_t port = serve_all({}, {passing("a.example", a), passing("*.example", b)});
    std::thread server([&] {
        auto peer = TlsPeer::accept(b, tls::server_options(tls::issue_for("x.example")));
        EXPECT_TRUE(peer.shake());
        EXPECT_EQ(peer.read_until("ping"), "ping");
        peer.send("pong");
        (void)peer.read_until("end");
    });
    {
        auto peer = TlsPeer::connect(port, client("x.example"));
        EXPECT_TRUE(peer.shake());
        peer.send("ping");
        EXPECT_EQ(peer.read_until("pong"), "pong");
    }
    server.join();
    EXPECT_FALSE(a.is_called(0));
}

TEST_P(TlsRelay, TerminationRelaysThePlainBytesAndHttpsGoesOnBesideIt)
{
    Acceptor raw, http;
    const std::uint16_t port = serve_all({https("*.example", to(http))}, {ending("raw.example", raw)});
    auto peer = TlsPeer::connect(port, client("raw.example"));
    ASSERT_TRUE(peer.shake());
    peer.send("hello");
    Peer upstream = raw.accept();
    EXPECT_EQ(upstream.read_until("hello"), "hello");
    upstream.send("world");
    EXPECT_EQ(peer.read_until("world"), "world");
    auto options = client("web.example");
    options.accepted_names = {"*.example"};
    auto web = TlsPeer::connect(port, options);
    ASSERT_TRUE(web.shake());
    web.send("GET / HTTP/1.1\r\nHost: web.example\r\n\r\n");
    EXPECT_NE(http.accept().read_until(kEndOfHead), "");
}

TEST_P(TlsRelay, TheHostOfATlsRouteIsMisdirectedOverHttps)
{
    Acceptor raw;
    const std::uint16_t port = serve_all({https("*.example", nowhere())}, {ending("raw.example", raw)});
    auto options = client("web.example");
    options.accepted_names = {"*.example"};
    auto peer = TlsPeer::connect(port, options);
    ASSERT_TRUE(peer.shake());
    EXPECT_EQ(status_for(peer, "web.example"), "500");
    EXPECT_EQ(status_for(peer, "Raw.example:443"), "421");
    EXPECT_EQ(status_for(peer, "web.example"), "500") << "the connection is good for its own hosts";
}

TEST_P(TlsRelay, AnEndInOneReadWithTheDataIsPassedOnAndTheAnswerStillComes)
{
    Acceptor raw;
    auto peer = TlsPeer::connect(serve_all({}, {ending("raw.example", raw)}), client("raw.example"));
    ASSERT_TRUE(peer.shake());
    peer.send_last("question");
    Peer upstream = raw.accept();
    EXPECT_EQ(upstream.read_all(), "question");
    EXPECT_FALSE(upstream.has_more(0) && upstream.read_all() != "") << "the end has come";
    upstream.send("answer");
    upstream.close();
    EXPECT_EQ(peer.read_until("never sent"), "answer");
    EXPECT_TRUE(peer.session().ended());
}

TEST_P(TlsRelay, PassthroughLeavesABackendsPolicyAlone)
{
    Acceptor raw;
    const std::uint16_t port = serve_all({}, {over_tls(passing("raw.example", raw))});
    std::thread server([&] {
        auto upstream = TlsPeer::accept(raw, tls::server_options(tls::issue_for("raw.example")));
        EXPECT_TRUE(upstream.shake());
        EXPECT_EQ(upstream.session().server_name(), "raw.example") << "the client's own handshake";
    });
    auto peer = TlsPeer::connect(port, client("raw.example"));
    EXPECT_TRUE(peer.shake());
    server.join();
}

TEST_P(TlsRelay, DecryptedBytesReachABackendWithAPolicyOverTls)
{
    Acceptor raw;
    auto peer = TlsPeer::connect(serve_all({}, {over_tls(ending("raw.example", raw))}), client("raw.example"));
    ASSERT_TRUE(peer.shake());
    peer.send_last("question");
    auto options = tls::server_options(tls::issue_for("backend.example"));
    options.alpn = {"h2", "http/1.1"};
    auto upstream = TlsPeer::accept(raw, options);
    ASSERT_TRUE(upstream.shake());
    EXPECT_EQ(upstream.session().server_name(), "backend.example");
    EXPECT_EQ(upstream.session().alpn(), "") << "of bytes it is not known what they are";
    EXPECT_EQ(upstream.read_until("never sent"), "question");
    EXPECT_TRUE(upstream.session().ended()) << "the half-close is passed on";
    upstream.send_last("answer");
    EXPECT_EQ(peer.read_until("never sent"), "answer");
    EXPECT_TRUE(peer.session().ended());
}

TEST_P(TlsRelay, ABackendThatIsNotTheOneOfItsPolicyGetsNoByte)
{
    constexpr int kAttempts = 3;  // of the proxy, each of which takes a handshake
    Acceptor raw;
    auto peer = TlsPeer::connect(serve_all({}, {over_tls(ending("raw.example", raw))}), client("raw.example"));
    ASSERT_TRUE(peer.shake());
    peer.send("secret");
    for (int i = 0; i < kAttempts; ++i) {
        auto upstream = TlsPeer::accept(raw, tls::server_options(tls::issue_for("other.example")));
        EXPECT_FALSE(upstream.shake());
    }
    EXPECT_EQ(end_of(peer.fd()), ECONNRESET);
}

TEST_P(TlsRelay, APolicyThatCannotBeUsedRefusesTheConnectionAndIsAProblemOfTheListener)
{
    Acceptor raw;
    const std::uint16_t port = serve_all({}, {over_tls(ending("raw.example", raw), "nothing")});
    ASSERT_EQ(problems_.size(), 1U);
    EXPECT_EQ(problems_.front().listener, "default/g/tls");
    auto peer = TlsPeer::connect(port, client("raw.example"));
    ASSERT_TRUE(peer.shake());
    EXPECT_EQ(end_of(peer.fd()), ECONNRESET);
    EXPECT_FALSE(raw.is_called(0));
}

TEST_P(TlsRelay, TheTimeToConnectIsThatOfTheHandshakeToo)
{
    start({.connect_timeout_ms = 50});
    Acceptor silent;
    auto peer = TlsPeer::connect(serve_all({}, {over_tls(ending("raw.example", silent))}), client("raw.example"));
    ASSERT_TRUE(peer.shake());
    EXPECT_EQ(end_of(peer.fd()), ECONNRESET);
    EXPECT_TRUE(silent.is_called(0));
}

TEST_P(TlsRelay, AnEndThatTlsDoesNotConfirmBreaksTheOtherSideOff)
{
    for (const bool is_clients : {true, false}) {
        SCOPED_TRACE(is_clients ? "the client's" : "the backend's");
        Acceptor raw;
        auto peer = TlsPeer::connect(serve_all({}, {over_tls(ending("raw.example", raw))}), client("raw.example"));
        ASSERT_TRUE(peer.shake());
        auto upstream = TlsPeer::accept(raw, tls::server_options(tls::issue_for("backend.example")));
        ASSERT_TRUE(upstream.shake());
        TlsPeer& ends = is_clients ? peer : upstream;
        TlsPeer& other = is_clients ? upstream : peer;
        ends.send("part");
        EXPECT_EQ(other.read_until("part"), "part");
        ends.half_close_plainly();
        EXPECT_EQ(end_of(other.fd()), ECONNRESET);
    }
}

INSTANTIATE_TEST_SUITE_P(Io, TlsRelay, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
