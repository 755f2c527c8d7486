// SPDX-License-Identifier: Apache-2.0
// Interim responses of backends (RFC 9110 section 15.2) on their way to clients of either version of HTTP.
#include "tests/harness/http2_peer.h"

namespace sluice::test {
namespace {

const std::string kEndOfHead = "\r\n\r\n";
const std::string kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const std::string kHints =
    "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-own\r\nX-Own: 1\r\nContent-Length: 0\r\n\r\n";

class Interim : public ProxyTest {
protected:
    // The two ends of a request that the backend has read and is to answer.
    struct Asked {
        Peer client;
        Peer backend;
    };
    Asked ask(const std::string& request = kGet)
    {
        Acceptor acceptor;
        Peer client = Peer::connect(serve(to(acceptor)));
        client.send(request);
        Peer backend = acceptor.accept();
        (void)backend.read_until(kEndOfHead);
        return {std::move(client), std::move(backend)};
    }
};

TEST_P(Interim, TheyComeBeforeTheAnswerAndWithoutTheFieldsOfTheirConnection)
{
    auto [client, backend] = ask();
    backend.send(kHints);
    EXPECT_EQ(client.read_until(kEndOfHead), "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    backend.send("HTTP/1.1 102 Processing\r\n\r\n" + kOk);
    EXPECT_EQ(client.read_until(kEndOfHead), "HTTP/1.1 102 Processing\r\n\r\n");
    EXPECT_TRUE(client.read_until("ok").starts_with("HTTP/1.1 200 OK\r\n"));
    client.send(kGet);
    (void)backend.read_until(kEndOfHead);
    backend.send(kOk);
    EXPECT_TRUE(client.read_until("ok").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_P(Interim, SomeAreNotForTheClient)
{
    const struct {
        const char* claim;
        std::string request;
        std::string interim;
    } rows[] = {
        {"HTTP/1.0 knows none", "GET / HTTP/1.0\r\nHost: h\r\n\r\n", kHints},
        {"a 100 is for who asked, and that was us", kGet, "HTTP/1.1 100 Continue\r\n\r\n"},
    };
    for (const auto& row : rows) {
        auto [client, backend] = ask(row.request);
        backend.send(row.interim + kOk);
        EXPECT_TRUE(client.read_until("ok").starts_with("HTTP/1.1 200 OK\r\n")) << row.claim;
    }
}

TEST_P(Interim, OnlySoManyPileUpForAClientThatReadsNothing)
{
    auto [client, backend] = ask();
    std::string many;
    for (int i = 0; i < 20; ++i)
        many += "HTTP/1.1 103 Early Hints\r\nLink: <" + std::string(1'800, 'a') + ">\r\n\r\n";
    backend.send(many + kOk);
    const std::string all = client.read_until("ok");
    int count = 0;
    for (std::size_t at = all.find(" 103 "); at != all.npos; at = all.find(" 103 ", at + 1))
        ++count;
    EXPECT_EQ(count, 4) << "8 KiB";
}

TEST_P(Interim, AnHttp2ClientHasThemFromAnHttp2Backend)
{
    Acceptor acceptor;
    Http2Peer client(Peer::connect(serve(to_http2(acceptor))), Http2Peer::Side::Client);
    const auto id = client.request(Http2Peer::get("/"));
    Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
    const auto at = backend.next_request();
    backend.inform(at, {{":status", "103"}, {"link", "</a.css>"}});
    EXPECT_TRUE(client.pump_until([&] { return client[id].interims.size() == 1; }));
    EXPECT_EQ(client[id].interims.at(0), (Fields{{":status", "103"}, {"link", "</a.css>"}}));
    backend.inform(at, {{":status", "103"}});
    backend.respond_whole(at, {{":status", "200"}}, "ok");
    EXPECT_EQ(client.wait(id).body, "ok");
    EXPECT_EQ(client[id].get(":status"), "200");
    EXPECT_EQ(client[id].interims.size(), 2U);
}

TEST_P(Interim, AnHttp2ClientHasThemFromAnHttp1Backend)
{
    Acceptor http1;
    Http2Peer client(Peer::connect(serve(to(http1))), Http2Peer::Side::Client);
    const auto id = client.request(Http2Peer::get("/"));
    Peer backend = http1.accept();
    (void)backend.read_until(kEndOfHead);
    backend.send(kHints + kOk);
    EXPECT_EQ(client.wait(id).body, "ok");
    EXPECT_EQ(client[id].interims, (std::vector<Fields>{{{":status", "103"}, {"link", "</a.css>"}}}));
}

TEST_P(Interim, AnHttp1ClientHasThemFromAnHttp2Backend)
{
    Acceptor acceptor;
    Peer client = Peer::connect(serve(to_http2(acceptor)));
    client.send(kGet);
    Http2Peer backend(acceptor.accept(), Http2Peer::Side::Server);
    const auto at = backend.next_request();
    backend.inform(at, {{":status", "103"}, {"link", "</a.css>"}});
    EXPECT_EQ(client.read_until(kEndOfHead), "HTTP/1.1 103 \r\nlink: </a.css>\r\n\r\n");
    backend.respond_whole(at, {{":status", "200"}}, "ok");
    EXPECT_TRUE(client.read_until("ok").starts_with("HTTP/1.1 200 "));
}

INSTANTIATE_TEST_SUITE_P(Io, Interim, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
