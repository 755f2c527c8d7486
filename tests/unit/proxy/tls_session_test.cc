// SPDX-License-Identifier: Apache-2.0
// The bytes of a connection: pieces of any size, bulk, ends, and what a hostile peer sends.
#include <malloc.h>

#include <algorithm>

#include "tests/unit/proxy/tls_fixture.h"

namespace sluice::proxy::testing {
namespace {

std::string pattern(std::size_t size)
{
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        text[i] = static_cast<char>(i % 251);
    return text;
}

std::shared_ptr<const TlsServerContext> plain_server()
{
    static const auto kContext = must_make(server_options(issue_for("a.test")));
    return kContext;
}

// Payload sizes of the records in `wire`.
std::vector<std::size_t> record_sizes(std::string_view wire)
{
    std::vector<std::size_t> sizes;
    while (wire.size() > 5) {
        const std::size_t size =
            static_cast<std::size_t>(static_cast<std::uint8_t>(wire[3])) << 8U | static_cast<std::uint8_t>(wire[4]);
        sizes.push_back(size);
        wire.remove_prefix(std::min(wire.size(), 5 + size));
    }
    return sizes;
}

TEST(TlsSession, PiecesMayBeOfAnySize)
{
    for (const TlsVersion version : {TlsVersion::Tls12, TlsVersion::Tls13}) {
        for (const std::size_t step : {1U, 2U, 5U, 7U, 100U, 1460U}) {
            TlsClientOptions options = client_options("a.test");
            options.max_version = version;
            Pair pair(plain_server(), must_make(options));
            ASSERT_TRUE(pair.shake(step)) << step << " " << pair.errors();
            const std::string text = pattern(3000);
            ASSERT_TRUE(write(*pair.client, text));
            ASSERT_TRUE(write(*pair.server, text));
            pair.pump(step);
            EXPECT_EQ(pair.server_received, text);
            EXPECT_EQ(pair.client_received, text);
        }
    }
}

TEST(TlsSession, BulkArrivesWholeBothWays)
{
    for (const TlsVersion version : {TlsVersion::Tls12, TlsVersion::Tls13}) {
        TlsClientOptions options = client_options("a.test");
        options.max_version = version;
        Pair pair(plain_server(), must_make(options));
        ASSERT_TRUE(pair.shake()) << pair.errors();
        const std::string text = pattern(1024UL * 1024);
        ASSERT_TRUE(write(*pair.client, text));
        ASSERT_TRUE(write(*pair.server, text));
        pair.pump(64UL * 1024);
        EXPECT_TRUE(pair.server_received == text) << pair.server_received.size();
        EXPECT_TRUE(pair.client_received == text) << pair.client_received.size();
    }
}

TEST(TlsSession, SpansAreWrittenInOrderAndGathered)
{
    Pair pair(plain_server(), must_make(client_options("a.test")));
    ASSERT_TRUE(pair.shake()) << pair.errors();
    std::string body = pattern(100'000);
    std::string all;
    std::vector<iovec> spans;
    for (std::size_t at = 0, size = 1; at < body.size(); at += size, size = size * 3 % 20011 + 1) {
        size = std::min(size, body.size() - at);
        spans.push_back({body.data() + at, size});
    }
    ASSERT_TRUE(pair.server->write(spans));
    pair.pump(64UL * 1024);
    EXPECT_TRUE(pair.client_received == body);

    std::string head = "HTTP/1.1 200 OK\r\n\r\n";
    std::string tail = "hello";
    const iovec two[] = {{head.data(), head.size()}, {tail.data(), tail.size()}};
    ASSERT_TRUE(pair.server->write(two));
    EXPECT_EQ(record_sizes(pair.server->output()).size(), 1U);
}

TEST(TlsSession, RecordsFitAPacketFirstAndAreLargeForBulk)
{
    Pair pair(plain_server(), must_make(client_options("a.test")));
    ASSERT_TRUE(pair.shake()) << pair.errors();
    ASSERT_TRUE(write(*pair.server, pattern(200'000)));
    // After the ticket that waited for the first write.
    const std::vector<std::size_t> sizes = record_sizes(pair.server->output());
    ASSERT_GT(sizes.size(), 20U);
    EXPECT_LT(sizes.size(), 30U);
    constexpr std::size_t kPacket = 1460 - 5;
    EXPECT_TRUE(std::all_of(sizes.begin(), sizes.begin() + 10, [](std::size_t size) { return size <= kPacket; }));
    EXPECT_TRUE(std::all_of(sizes.begin() + 12, sizes.end() - 1, [](std::size_t size) { return size > 16'000; }));
}

TEST(TlsSession, CloseNotifyEndsEitherDirection)
{
    Pair pair(plain_server(), must_make(client_options("a.test")));
    ASSERT_TRUE(pair.shake()) << pair.errors();
    ASSERT_TRUE(write(*pair.client, "last"));
    pair.client->shutdown();
    pair.pump();
    EXPECT_EQ(pair.server_received, "last");
    EXPECT_TRUE(pair.server->ended());
    EXPECT_FALSE(pair.client->ended());
    // The other direction is still open.
    ASSERT_TRUE(write(*pair.server, "answer"));
    pair.server->shutdown();
    pair.pump();
    EXPECT_EQ(pair.client_received, "answer");
    EXPECT_TRUE(pair.client->ended());
    EXPECT_EQ(pair.errors(), "server:  client: ");
    EXPECT_TRUE(pair.server->feed("what follows is ignored"));
    EXPECT_EQ(*read_all(*pair.server), "");
}

TEST(TlsSession, BytesThatAreNotTlsFail)
{
    const std::string rows[] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\n\r\n",
        std::string("\x16\x03\x01\xff\xff", 5),          // larger than a record can be
        std::string("\x15\x03\x01\x00\x02\x02\x28", 7),  // a fatal alert
        std::string("\x17\x03\x03\x00\x01x", 6),         // data before a handshake
        std::string(100, '\xff'),
    };
    for (const std::string& text : rows) {
        const auto server = TlsSession::accept(plain_server());
        EXPECT_FALSE(server->feed(text)) << text;
        EXPECT_FALSE(server->established());
        EXPECT_FALSE(server->feed("more"));
        EXPECT_FALSE(server->write({}));
        std::vector<char> out(100);
        EXPECT_FALSE(server->read(out));
    }
}

// One byte of the client's first flight, and of its data, is another: never a crash, never other data.
TEST(TlsSession, ChangedBytesAreNeverDelivered)
{
    const auto client_context = must_make(client_options("a.test"));
    const std::size_t hello_size = TlsSession::connect(client_context)->output().size();
    for (std::size_t at = 0; at < hello_size; at += 3) {
        Pair pair(plain_server(), client_context);
        std::string hello = pair.client->take_output();
        hello[at % hello.size()] = static_cast<char>(hello[at % hello.size()] ^ 0x41);
        if (pair.server->feed(hello))
            pair.pump();
        EXPECT_FALSE(pair.client->established() && pair.server->established()) << at;
    }
    for (std::size_t at = 5; at < 40; ++at) {
        Pair pair(plain_server(), client_context);
        ASSERT_TRUE(pair.shake()) << pair.errors();
        ASSERT_TRUE(write(*pair.client, "text"));
        std::string record(pair.client->output());
        record[at % record.size()] = static_cast<char>(record[at % record.size()] ^ 0x41);
        ASSERT_TRUE(pair.server->feed(record));
        const auto text = read_all(*pair.server);
        EXPECT_FALSE(text && !text->empty()) << at;
    }
}

TEST(TlsSession, WhatCameBeforeABadRecordIsDeliveredFirst)
{
    Pair pair(plain_server(), must_make(client_options("a.test")));
    ASSERT_TRUE(pair.shake()) << pair.errors();
    ASSERT_TRUE(write(*pair.client, "good"));
    std::string records(pair.client->output());
    records += std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
    ASSERT_TRUE(pair.server->feed(records));
    std::vector<char> out(100);
    EXPECT_EQ(pair.server->read(out), 4U);
    EXPECT_FALSE(pair.server->read(out));
    EXPECT_FALSE(pair.server->output().empty());  // the alert
}

TEST(TlsSession, AnEndWithoutCloseNotifyIsNotAnEnd)
{
    Pair pair(plain_server(), must_make(client_options("a.test")));
    ASSERT_TRUE(pair.shake()) << pair.errors();
    ASSERT_TRUE(write(*pair.client, "cut off"));
    const std::string_view record = pair.client->output();
    ASSERT_TRUE(pair.server->feed(record.substr(0, record.size() - 1)));
    EXPECT_EQ(*read_all(*pair.server), "");
    EXPECT_FALSE(pair.server->ended());
    ASSERT_TRUE(pair.server->feed(record.substr(record.size() - 1)));
    EXPECT_EQ(*read_all(*pair.server), "cut off");
}

TEST(TlsSession, AHandshakeWithoutEndFails)
{
    // One message that claims 16 MiB, in records of one byte and in large ones.
    const std::string head("\x01\xff\xff\xff", 4);
    for (const std::size_t size : {std::size_t{1}, std::size_t{16'000}}) {
        const auto server = TlsSession::accept(plain_server());
        std::size_t sent = 0;
        bool refused = false;
        while (!refused && sent < 4 * kTlsHandshakeMax) {
            const std::string body = sent == 0 ? head : std::string(size, '\0');
            std::string record("\x16\x03\x01", 3);
            record += static_cast<char>(body.size() >> 8U);
            record += static_cast<char>(body.size() & 0xffU);
            record += body;
            refused = !server->feed(record);
            sent += record.size();
        }
        EXPECT_TRUE(refused);
        EXPECT_LE(sent, kTlsHandshakeMax + 20'000);
    }
    // Records that are never whole are bounded by the record's own length; those never read by the session's.
    Pair pair(plain_server(), must_make(client_options("a.test")));
    ASSERT_TRUE(pair.shake()) << pair.errors();
    ASSERT_TRUE(write(*pair.client, pattern(kTlsPendingMax)));
    EXPECT_FALSE(pair.server->feed(pair.client->output()));
}

TEST(TlsSession, NothingIsWrittenBeforeTheHandshakeIsOver)
{
    const auto client = TlsSession::connect(must_make(client_options("a.test")));
    EXPECT_FALSE(client->output().empty());
    EXPECT_FALSE(write(*client, "early"));
    EXPECT_FALSE(client->established());
    client->shutdown();
    std::vector<char> out(10);
    EXPECT_EQ(client->read(out), 0U);
}

// The figure that docs and limits state: what an idle session of a server costs, all in.
TEST(TlsSession, AnIdleSessionHoldsFewerThan11KiB)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the sanitizers' allocators are not what is measured";
#endif
    constexpr std::size_t kSessions = 1000;
    TlsServerOptions options = server_options(issue_for("a.test"));
    options.ticket_keys = std::make_shared<TlsTicketKeys>();
    options.alpn = {"h2", "http/1.1"};
    const auto server = must_make(options);
    for (const TlsVersion version : {TlsVersion::Tls12, TlsVersion::Tls13}) {
        TlsClientOptions client_settings = client_options("a.test");
        client_settings.alpn = {"h2"};
        client_settings.max_version = version;
        const auto client = must_make(client_settings);
        std::vector<std::unique_ptr<TlsSession>> idle;
        idle.reserve(kSessions);
        const auto establish = [&] {
            Pair pair(server, client);
            ASSERT_TRUE(pair.shake()) << pair.errors();
            ASSERT_TRUE(write(*pair.client, pattern(20'000)));
            ASSERT_TRUE(write(*pair.server, pattern(100'000)));
            pair.pump();
            idle.push_back(std::move(pair.server));
        };
        for (int i = 0; i < 20; ++i)  // what the process and the client keep, whatever the number of sessions
            establish();
        idle.clear();
        const std::size_t before = ::mallinfo2().uordblks;
        for (std::size_t i = 0; i < kSessions; ++i)
            establish();
        const std::size_t each = (::mallinfo2().uordblks - before) / kSessions;
        RecordProperty(version == TlsVersion::Tls12 ? "bytes_tls12" : "bytes_tls13", static_cast<int>(each));
        EXPECT_LT(each, 11UL * 1024);
        EXPECT_GT(each, sizeof(TlsSession));
    }
}

}  // namespace
}  // namespace sluice::proxy::testing
