// SPDX-License-Identifier: Apache-2.0
// Connections that a client keeps while the plan changes: what was agreed on at their beginning does not pass for what
// is asked for now.
#include "tests/unit/proxy/tls_peer.h"

namespace sluice::test {
namespace {

using TlsKept = TlsProxyTest;

TEST_P(TlsKept, APlainConnectionIsMisdirectedOnceItsPortSpeaksTls)
{
    const std::uint16_t port = serve_all({listener_to(nowhere(), "default/g/l", "a.example")});
    Peer first = Peer::connect(port);
    Peer second = Peer::connect(port);
    EXPECT_EQ(status_for(first, "a.example"), "500");
    EXPECT_EQ(status_for(second, "unknown.example"), "404");
    serve_all({https("a.example", nowhere())}, {}, port);
    EXPECT_EQ(status_for(first, "a.example"), "421");
    EXPECT_TRUE(first.has_more(kWaitMs)) << "the connection ends";
    EXPECT_EQ(first.read_all(), "");
    EXPECT_EQ(status_for(second, "unknown.example"), "421");
}

TEST_P(TlsKept, ATlsConnectionIsMisdirectedOnceItsPortIsPlain)
{
    const std::uint16_t port = serve_all({https("a.example", nowhere())});
    auto peer = TlsPeer::connect(port, client("a.example"));
    ASSERT_TRUE(peer.shake());
    EXPECT_EQ(status_for(peer, "a.example"), "500");
    serve_all({listener_to(nowhere(), "default/g/a.example", "a.example")}, {}, port);
    EXPECT_EQ(status_for(peer, "a.example"), "421");
}

TEST_P(TlsKept, AConnectionIsGoodForWhatWasAskedOfItsClientAlone)
{
    using enum plan::ClientAuth;
    const std::string ours = tls::authority().pem;
    const std::string more = ours + tls::make_certificate({.common_name = "more", .authority = true}).pem;
    const struct {
        const char* name;
        plan::ClientAuth before;
        std::string ca_before;
        plan::ClientAuth after;
        std::string ca_after;
        bool is_renewed;  // the listener has another certificate
        const char* status;
    } rows[] = {
        {"nothing, as before", None, "", None, "", false, "500"},
        {"nothing, with a renewed certificate", None, "", None, "", true, "500"},
        {"the same, with a renewed certificate", Required, ours, Required, ours, true, "500"},
        {"a certificate since", None, "", Required, ours, false, "421"},
        {"one that is good since", Optional, ours, Required, ours, false, "421"},
        {"one of other authorities since", Required, ours, Required, more, false, "421"},
        {"nothing since", Required, ours, None, "", false, "421"},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.name);
        auto listener = https("a.example", nowhere());
        const auto ask = [&listener](plan::ClientAuth auth, const std::string& ca_pem) {
            plan::TlsTermination asking = *listener.tls;
            asking.client_auth = auth;
            asking.client_ca_pem = ca_pem;
            listener.tls = asking;
        };
        ask(row.before, row.ca_before);
        const std::uint16_t port = serve_all({listener});
        auto options = client("a.example");
        options.certificate = tls::issue({.common_name = "client"});
        auto peer = TlsPeer::connect(port, options);
        ASSERT_TRUE(peer.shake());
        EXPECT_EQ(status_for(peer, "a.example"), "500");
        if (row.is_renewed)
            listener.tls = termination("a.example");
        ask(row.after, row.ca_after);
        serve_all({listener}, {}, port);
        EXPECT_EQ(status_for(peer, "a.example"), row.status);
    }
}

TEST_P(TlsKept, AConnectionEndsOnceItsServerNameIsAnotherListeners)
{
    auto any = listener_to(nowhere(), "default/g/any");
    any.tls = termination("a.example");
    const std::uint16_t port = serve_all({any});
    auto peer = TlsPeer::connect(port, client("a.example"));
    ASSERT_TRUE(peer.shake());
    EXPECT_EQ(status_for(peer, "a.example"), "500");
    serve_all({any, https("a.example", nowhere()), https("b.example", nowhere())}, {}, port);
    EXPECT_EQ(status_for(peer, "other.example"), "500") << "still its listener's";
    peer.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    const std::string answer = peer.read_until("Misdirected Request\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 421 ")) << answer;
    EXPECT_NE(answer.find("Connection: close"), answer.npos) << answer;
}

TEST_P(TlsKept, AnotherListenersHostDoesNotEndTheConnection)
{
    const std::uint16_t port = serve_all({https("a.example", nowhere()), https("b.example", nowhere())});
    auto peer = TlsPeer::connect(port, client("a.example"));
    ASSERT_TRUE(peer.shake());
    EXPECT_EQ(status_for(peer, "b.example"), "421");
    EXPECT_EQ(status_for(peer, "a.example"), "500");
}

INSTANTIATE_TEST_SUITE_P(Io, TlsKept, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
