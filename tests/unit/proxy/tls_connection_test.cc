// SPDX-License-Identifier: Apache-2.0
// TLS through a real proxy: HTTPS by server name and ALPN, passthrough and termination of TLSRoutes, TLS to backends.
#include <optional>
#include <thread>

#include "agent/proxy/tls_session.h"
#include "tests/harness/proxy_fixture.h"
#include "tests/unit/proxy/tls_fixture.h"

namespace sluice::test {
namespace {

namespace tls = proxy::testing;

const std::string kEndOfHead = "\r\n\r\n";

// One end of a TLS connection that the test drives.
class TlsPeer {
public:
    static TlsPeer connect(std::uint16_t port, proxy::TlsClientOptions options)
    {
        return {Peer::connect(port), proxy::TlsSession::connect(tls::must_make(options))};
    }
    static TlsPeer accept(const Acceptor& acceptor, const proxy::TlsServerOptions& options)
    {
        return {acceptor.accept(), proxy::TlsSession::accept(tls::must_make(options))};
    }
    // False: the handshake failed.
    bool shake()
    {
        while (!session_->established() && exchange()) {
        }
        return session_->established();
    }
    void send(const std::string& text)
    {
        EXPECT_TRUE(tls::write(*session_, text));
        flush();
    }
    // In one write with close_notify: nothing follows it.
    void send_last(const std::string& text)
    {
        EXPECT_TRUE(tls::write(*session_, text));
        session_->shutdown();
        flush();
    }
    // Reads until `end` has been seen, the peer closes, or the deadline is over; all that was read.
    std::string read_until(const std::string& end)
    {
        do {
            if (const auto more = tls::read_all(*session_))
                seen_ += *more;
        } while (seen_.find(end) == std::string::npos && exchange());
        return std::exchange(seen_, {});
    }
    [[nodiscard]] const proxy::TlsSession& session() const { return *session_; }

private:
    TlsPeer(Peer peer, std::unique_ptr<proxy::TlsSession> session)
        : peer_(std::move(peer)), session_(std::move(session))
    {
        flush();
    }
    void flush()
    {
        const std::string out(session_->output());
        session_->consume_output(out.size());
        if (!out.empty())
            peer_.send(out);
    }
    bool exchange()
    {
        flush();
        char part[16'384];
        if (!readable(peer_.fd()))
            return false;
        const ssize_t count = ::recv(peer_.fd(), part, sizeof part, 0);
        if (count <= 0 || !session_->feed({part, static_cast<std::size_t>(count)}))
            return false;
        flush();
        return true;
    }
    Peer peer_;
    std::unique_ptr<proxy::TlsSession> session_;
    std::string seen_;
};

plan::TlsTermination termination(const std::string& name)
{
    const auto made = tls::issue_for(name);
    return {.certificates = {{"default/" + name, made.chain_pem, made.key_pem}}};
}

plan::HttpListener https(const std::string& hostname, const plan::HttpRule& rule)
{
    plan::HttpListener listener = listener_to(rule, "default/g/" + hostname, hostname);
    listener.tls = termination(hostname);
    return listener;
}

class TlsConnection : public ProxyTest {
protected:
    std::uint16_t serve_all(std::vector<plan::HttpListener> listeners, std::vector<plan::TlsHost> hosts = {})
    {
        auto plan = std::make_shared<plan::Plan>();
        const std::uint16_t port = free_port();
        const std::vector<IpAddress> addresses{*IpAddress::parse("127.0.0.1")};
        if (!listeners.empty())
            plan->http.push_back(
                {.addresses = addresses, .port = port, .tls = true, .listeners = std::move(listeners)});
        if (!hosts.empty())
            plan->tls.push_back({.addresses = addresses, .port = port, .hosts = std::move(hosts)});
        problems_ = proxy_->publish(plan, proxy::Ingress::Bound);
        return port;
    }
    static proxy::TlsClientOptions client(const std::string& name, std::vector<std::string> alpn = {})
    {
        auto options = tls::client_options(name);
        options.alpn = std::move(alpn);
        return options;
    }
    std::vector<proxy::ListenProblem> problems_;
};

TEST_P(TlsConnection, RequestsOverTlsSayThatTheyCameByIt)
{
    Acceptor backend;
    auto peer = TlsPeer::connect(serve_all({https("a.example", to(backend))}), client("a.example", {"http/1.1"}));
    ASSERT_TRUE(peer.shake());
    EXPECT_EQ(peer.session().alpn(), "http/1.1");
    for (int i = 0; i < 2; ++i) {
        peer.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
        static std::optional<Peer> upstream;
        if (i == 0)
            upstream = backend.accept();
        EXPECT_NE(upstream->read_until(kEndOfHead).find("X-Forwarded-Proto: https\r\n"), std::string::npos);
        upstream->send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + std::string(99'998, 'x') + "ok");
        EXPECT_EQ(peer.read_until("ok").size(),
                  100'000U + std::string_view("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").size());
    }
}

TEST_P(TlsConnection, TheServerNameChoosesTheCertificateAndAnotherListenersHostIsMisdirected)
{
    Acceptor a, b;
    const std::uint16_t port = serve_all({https("a.example", to(a)), https("b.example", to(b))});
    auto peer = TlsPeer::connect(port, client("b.example"));
    ASSERT_TRUE(peer.shake());
    peer.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    EXPECT_TRUE(peer.read_until(kEndOfHead).starts_with("HTTP/1.1 421 "));
    EXPECT_FALSE(a.is_called(0));
    auto stranger = TlsPeer::connect(port, client("c.example"));
    EXPECT_FALSE(stranger.shake());
}

TEST_P(TlsConnection, AlpnChoosesHttp2)
{
    Acceptor backend;
    auto peer = TlsPeer::connect(serve_all({https("a.example", to(backend))}), client("a.example", {"h2", "http/1.1"}));
    ASSERT_TRUE(peer.shake());
    EXPECT_EQ(peer.session().alpn(), "h2");
    peer.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string("\0\0\0\4\0\0\0\0\0", 9));
    const std::string settings = peer.read_until(std::string("\0\0\0\4\1\0\0\0\0", 9));
    EXPECT_EQ(settings.substr(3, 1), "\4");  // SETTINGS is the first frame
}

TEST_P(TlsConnection, PassthroughRelaysTheHandshakeToTheBackendOfTheName)
{
    Acceptor a, b;
    const auto host = [](const std::string& name, const Acceptor& to) {
        return plan::TlsHost{.listener = "default/g/tls",
                             .hostname = name,
                             .route = "default/r",
                             .backends = {backend({at(to.port())})}};
    };
    const std::uint16_t port = serve_all({}, {host("a.example", a), host("*.example", b)});
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

TEST_P(TlsConnection, TerminationRelaysThePlainBytesAndHttpsGoesOnBesideIt)
{
    Acceptor raw, http;
    plan::TlsHost host{.listener = "default/g/tls",
                       .hostname = "raw.example",
                       .route = "default/r",
                       .termination = std::make_shared<const plan::TlsTermination>(termination("raw.example")),
                       .backends = {backend({at(raw.port())})}};
    const std::uint16_t port = serve_all({https("*.example", to(http))}, {host});
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

TEST_P(TlsConnection, AnEndInOneReadWithTheDataIsPassedOnAndTheAnswerStillComes)
{
    Acceptor raw;
    plan::TlsHost host{.listener = "default/g/tls",
                       .hostname = "raw.example",
                       .route = "default/r",
                       .termination = std::make_shared<const plan::TlsTermination>(termination("raw.example")),
                       .backends = {backend({at(raw.port())})}};
    auto peer = TlsPeer::connect(serve_all({}, {host}), client("raw.example"));
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

TEST_P(TlsConnection, ABackendIsSpokenToByTlsWithTheNameItMustHave)
{
    Acceptor acceptor;
    auto rule = to(acceptor);
    plan::BackendTls wanted{.hostname = "backend.example"};
    wanted.ca_pem = tls::authority().pem;
    rule.backends.front().tls = std::make_shared<const plan::BackendTls>(wanted);
    const std::uint16_t port = serve(rule);
    for (const std::string name : {"backend.example", "other.example"}) {
        Peer client = Peer::connect(port);
        std::thread server([&] {
            constexpr int kAttempts = 3;  // of the proxy, each of which takes a handshake
            for (int i = 0; i < kAttempts; ++i) {
                auto peer = TlsPeer::accept(acceptor, tls::server_options(tls::issue_for(name)));
                if (!peer.shake() || peer.read_until(kEndOfHead).empty())
                    continue;
                EXPECT_EQ(peer.session().server_name(), "backend.example");
                return peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            }
        });
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        const std::string answer = client.read_until(kEndOfHead);
        EXPECT_TRUE(answer.starts_with(name == "backend.example" ? "HTTP/1.1 200 " : "HTTP/1.1 503 ")) << answer;
        server.join();
    }
}

TEST_P(TlsConnection, CertificatesThatCannotBeUsedAreAProblemOfTheirListenersAlone)
{
    Acceptor backend;
    auto broken = https("a.example", to(backend));
    plan::TlsTermination bad = *broken.tls;
    bad.certificates.front().key_pem = tls::issue_for("b.example").key_pem;
    broken.tls = std::make_shared<const plan::TlsTermination>(bad);
    const std::uint16_t port = serve_all({broken});
    ASSERT_EQ(problems_.size(), 1U);
    EXPECT_EQ(problems_.front().listener, "default/g/a.example");
    EXPECT_NE(problems_.front().message.find("a.example"), std::string::npos) << problems_.front().message;
    auto peer = TlsPeer::connect(port, client("a.example"));
    EXPECT_FALSE(peer.shake());
}

INSTANTIATE_TEST_SUITE_P(Io, TlsConnection, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
