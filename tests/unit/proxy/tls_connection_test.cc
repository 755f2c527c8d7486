// SPDX-License-Identifier: Apache-2.0
// HTTPS through a real proxy: by server name and ALPN, by what each listener asks of clients, and to backends.
#include <optional>
#include <thread>

#include "tests/unit/proxy/tls_peer.h"

namespace sluice::test {
namespace {

using TlsConnection = TlsProxyTest;

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

TEST_P(TlsConnection, AServerNameInCapitalsIsThatOfItsListener)
{
    auto any = listener_to(nowhere(), "default/g/any");
    any.tls = termination("any.example");
    const std::uint16_t port = serve_all({any, https("a.example.com", nowhere())});
    ASSERT_TRUE(problems_.empty());
    auto peer = TlsPeer::connect(port, client("A.example.com"));
    ASSERT_TRUE(peer.shake());
    EXPECT_EQ(status_for(peer, "a.example.com"), "500");
    EXPECT_EQ(status_for(peer, "other.example"), "421") << "the host of the listener beside it";
}

TEST_P(TlsConnection, AnUnusableCertificateIsAProblemOfItsListenerAlone)
{
    const std::vector<plan::HttpListener> listeners{unusable_https("a.example", nowhere()),
                                                    https("b.example", nowhere()), https("*.example", nowhere())};
    std::uint16_t port = 0;
    for (const char* round : {"new", "kept from the plan before"}) {
        SCOPED_TRACE(round);
        port = port == 0 ? serve_all(listeners) : serve_all(listeners, {}, port);
        ASSERT_EQ(problems_.size(), 1U);
        EXPECT_EQ(problems_.front().listener, "default/g/a.example");
        EXPECT_NE(problems_.front().message.find("a.example"), std::string::npos) << problems_.front().message;
        auto other = TlsPeer::connect(port, client("b.example"));
        ASSERT_TRUE(other.shake());
        EXPECT_EQ(status_for(other, "b.example"), "500");
        auto options = client("a.example");
        options.accepted_names = {"*.example"};
        auto refused = TlsPeer::connect(port, options);
        EXPECT_FALSE(refused.shake()) << "its name is not the wildcard's";
    }
}

TEST_P(TlsConnection, WithNoUsableCertificateAtAllEveryListenerHasAProblem)
{
    const std::uint16_t port =
        serve_all({unusable_https("a.example", nowhere()), unusable_https("b.example", nowhere())});
    ASSERT_EQ(problems_.size(), 2U);
    EXPECT_EQ(problems_[0].listener, "default/g/a.example");
    EXPECT_EQ(problems_[1].listener, "default/g/b.example");
    auto peer = TlsPeer::connect(port, client("a.example"));
    EXPECT_FALSE(peer.shake());
}

TEST_P(TlsConnection, ListenersOfOnePortAskTheirOwnOfClients)
{
    const auto strict = [](plan::HttpListener listener) {
        plan::TlsTermination demanding = *listener.tls;
        demanding.client_auth = plan::ClientAuth::Required;
        demanding.client_ca_pem = tls::authority().pem;
        listener.tls = demanding;
        return listener;
    };
    const std::vector<plan::HttpListener> orders[] = {
        {strict(https("strict.example", nowhere())), https("open.example", nowhere())},
        {https("open.example", nowhere()), strict(https("strict.example", nowhere()))},
    };
    for (const auto& listeners : orders) {
        SCOPED_TRACE(listeners.front().name);
        const std::uint16_t port = serve_all(listeners);
        const struct {
            const char* host;
            bool shows;
            bool served;
        } rows[] = {
            {"open.example", false, true},
            {"strict.example", false, false},
            {"strict.example", true, true},
        };
        for (const auto& row : rows) {
            auto options = client(row.host);
            options.max_version = proxy::TlsVersion::Tls12;  // whose client hears of a refusal within its handshake
            if (row.shows)
                options.certificate = tls::issue({.common_name = "client"});
            auto peer = TlsPeer::connect(port, options);
            ASSERT_EQ(peer.shake(), row.served) << row.host << row.shows;
            if (row.served) {
                EXPECT_EQ(status_for(peer, row.host), "500");
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Io, TlsConnection, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
