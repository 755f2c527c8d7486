// SPDX-License-Identifier: Apache-2.0
// TCP relayed by a real proxy.
#include <functional>

#include "tests/unit/proxy/tls_peer.h"

namespace sluice::test {
namespace {

using Tunnel = ProxyTest;

TEST_P(Tunnel, AHalfCloseIsPassedOnAndTheAnswerStillComes)
{
    Acceptor backend_socket;
    Peer client = Peer::connect(serve_tcp({backend({at(backend_socket.port())})}));
    client.send("question");
    client.half_close();
    Peer upstream = backend_socket.accept();
    EXPECT_EQ(upstream.read_all(), "question");
    upstream.send("answer");
    upstream.close();
    EXPECT_EQ(client.read_all(), "answer");
}

TEST_P(Tunnel, ARefusedShareIsReset)
{
    Peer client = Peer::connect(serve_tcp({backend({}, false)}));
    EXPECT_EQ(end_of(client.fd()), ECONNRESET);
}

// Else a cut upload, or a cut answer, would pass for a whole one.
TEST_P(Tunnel, ASideThatBreaksOffBreaksTheOtherOff)
{
    const struct {
        const char* name;
        bool by_client;
        bool after_half_close;  // of the other side
    } rows[] = {
        {"the client, in the middle", true, false},
        {"the backend, in the middle", false, false},
        {"the client, with the answer whole", true, true},
        {"the backend, with the question whole", false, true},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.name);
        Acceptor backend_socket;
        Peer client = Peer::connect(serve_tcp({backend({at(backend_socket.port())})}));
        Peer upstream = backend_socket.accept();
        Peer& breaks = row.by_client ? client : upstream;
        Peer& other = row.by_client ? upstream : client;
        breaks.send("part");
        EXPECT_EQ(other.read_until("part"), "part");
        if (row.after_half_close) {
            other.half_close();
            EXPECT_EQ(end_of(breaks.fd()), 0);
        }
        breaks.reset();
        EXPECT_EQ(end_of(other.fd()), ECONNRESET);
    }
}

// What a client that is slow to read has not taken yet is in its socket's queue, which a reset would empty.
TEST_P(Tunnel, AnAnswerThatHasEndedIsNotLostWhenItsBackendBreaksOffLater)
{
    Acceptor backend_socket;
    Peer client = Peer::connect(serve_tcp({backend({at(backend_socket.port())})}), 4'096);
    Peer upstream = backend_socket.accept();
    const std::string answer(30'000, 'x');
    upstream.send(answer + "end");
    upstream.close();
    EXPECT_EQ(client.read_until("x"), "x");
    const auto wait_until = [](const std::function<bool()>& done) {
        const std::uint64_t deadline = monotonic_ms() + kWaitMs;
        while (!done() && monotonic_ms() < deadline)
            ::poll(nullptr, 0, 1);
        return done();
    };
    client.send("1");  // the backend's kernel answers it with a reset, which the proxy learns of by the next one
    ASSERT_TRUE(wait_until([&] { return proxy_->stats().front().bytes_in == 1; }));
    client.send("2");
    ASSERT_TRUE(wait_until([&] { return proxy_->open_connections() == 0; }));
    EXPECT_EQ(client.read_until("end").size(), answer.size() + 2);
}

TEST_P(Tunnel, ThatMovesNothingForItsTimeIsBrokenOffOnBothSides)
{
    start({.stream_idle_timeout_ms = 50});
    Acceptor backend_socket;
    Peer client = Peer::connect(serve_tcp({backend({at(backend_socket.port())})}));
    Peer upstream = backend_socket.accept();
    EXPECT_EQ(end_of(client.fd()), ECONNRESET);
    EXPECT_EQ(end_of(upstream.fd()), ECONNRESET);
}

TEST_P(Tunnel, ThatBothSidesHaveEndedEndsQuietly)
{
    Acceptor backend_socket;
    Peer client = Peer::connect(serve_tcp({backend({at(backend_socket.port())})}));
    Peer upstream = backend_socket.accept();
    client.half_close();
    upstream.half_close();
    EXPECT_EQ(end_of(client.fd()), 0);
    EXPECT_EQ(end_of(upstream.fd()), 0);
}

TEST_P(Tunnel, ADeadEndpointOfTwoIsNeverSeenByAClient)
{
    Acceptor alive;
    const std::uint16_t port = serve_tcp({backend({at(alive.port()), at(free_port())})});
    for (int i = 0; i < 60; ++i) {
        Peer client = Peer::connect(port);
        Peer upstream = alive.accept();
        ASSERT_NE(upstream.fd(), -1) << "connection " << i;
    }
}

TEST_P(Tunnel, ASlowReaderGetsEveryByte)
{
    Acceptor backend_socket;
    Peer client = Peer::connect(serve_tcp({backend({at(backend_socket.port())})}));
    Peer upstream = backend_socket.accept();
    const std::string text(4'000'000, 'x');
    std::size_t sent = 0, received = 0;
    char part[4'096];
    const std::uint64_t deadline = monotonic_ms() + 10'000;
    while (received < text.size() && monotonic_ms() < deadline) {
        const ssize_t count =
            ::send(upstream.fd(), text.data() + sent, text.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += count > 0 ? static_cast<std::size_t>(count) : 0;
        const ssize_t got = readable(client.fd(), 5) ? ::recv(client.fd(), part, sizeof part, 0) : 0;
        received += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    EXPECT_EQ(received, text.size());
}

INSTANTIATE_TEST_SUITE_P(Io, Tunnel, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
