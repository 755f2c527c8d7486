// SPDX-License-Identifier: Apache-2.0
// The server name out of raw bytes, whatever their pieces; the fuzzer's corpus is judged as its names say.
#include "agent/proxy/client_hello.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "agent/proxy/tls_context.h"
#include "agent/proxy/tls_session.h"
#include "tests/fuzz/client_hello/properties.h"
#include "tests/unit/proxy/tls_fixture.h"

namespace sluice::proxy::testing {
namespace {

using Status = ClientHello::Status;
using Names = std::vector<std::string>;

std::string number(std::size_t value, std::size_t bytes)
{
    std::string text;
    while (bytes-- > 0)
        text += static_cast<char>(value >> (8 * bytes) & 0xffU);
    return text;
}
std::string with_length(const std::string& text, std::size_t bytes) { return number(text.size(), bytes) + text; }
std::string extension(std::size_t type, const std::string& content)
{
    return number(type, 2) + with_length(content, 2);
}
std::string sni(const std::string& name) { return extension(0, with_length('\0' + with_length(name, 2), 2)); }
std::string alpn(const Names& names)
{
    std::string list;
    for (const std::string& name : names)
        list += with_length(name, 1);
    return extension(16, with_length(list, 2));
}

std::string body(const std::string& extensions)
{
    return "\x03\x03" + std::string(32, 'r') + with_length(std::string(32, 's'), 1) + with_length("\x13\x01", 2) +
           with_length(std::string(1, '\0'), 1) + with_length(extensions, 2);
}
std::string message(const std::string& text, char type = '\x01') { return type + with_length(text, 3); }

// The message in records of `size` bytes.
std::string records(const std::string& text, std::size_t size = 16'384)
{
    std::string all;
    for (std::size_t at = 0; at < text.size(); at += size)
        all += "\x16\x03\x01" + with_length(text.substr(at, size), 2);
    return all;
}
std::string hello(const std::string& extensions) { return records(message(body(extensions))); }

const std::string kGrease = extension(0x1a1a, "x");
const std::string kEncryptedHello = extension(0xfe0d, std::string(200, 'e'));

TEST(ClientHello, YieldsNameAndProtocols)
{
    const struct {
        const char* name;
        std::string bytes;
        std::string server_name;
        Names protocols;
    } rows[] = {
        {"both", hello(sni("a.test") + alpn({"h2", "http/1.1"})), "a.test", {"h2", "http/1.1"}},
        {"in capitals", hello(sni("A.Test")), "a.test", {}},
        {"no extension", hello(""), "", {}},
        {"no extensions field", records(message(body("").substr(0, body("").size() - 2))), "", {}},
        {"unknown ones around", hello(kGrease + sni("a.test") + kEncryptedHello + extension(23, "")), "a.test", {}},
        {"a GREASE protocol", hello(alpn({"\x2a\x2a", "h2"})), "", {"\x2a\x2a", "h2"}},
        {"more after it", hello(sni("a.test")) + "anything", "a.test", {}},
        {"a large one", hello(sni("a.test") + extension(21, std::string(12'000, 'p'))), "a.test", {}},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.name);
        const ClientHello found = parse_client_hello(row.bytes);
        EXPECT_EQ(found.status, Status::Found);
        EXPECT_EQ(found.server_name, row.server_name);
        EXPECT_EQ(found.alpn, row.protocols);
    }
}

TEST(ClientHello, EveryPrefixNeedsMore)
{
    const std::string text = message(body(kGrease + sni("a.test") + alpn({"h2"})));
    for (const std::size_t size : {1U, 3U, 4U, 5U, 50U, 16'384U}) {
        const std::string bytes = records(text, size);
        for (std::size_t cut = 0; cut < bytes.size(); ++cut)
            EXPECT_EQ(parse_client_hello(bytes.substr(0, cut)).status, Status::NeedMore) << size << " " << cut;
        const ClientHello found = parse_client_hello(bytes);
        EXPECT_EQ(found.status, Status::Found);
        EXPECT_EQ(found.server_name, "a.test");
        EXPECT_EQ(found.alpn, Names{"h2"});
    }
}

TEST(ClientHello, ALengthThatLiesIsRefused)
{
    // Every length of the body, one more and one less than is there.
    const std::string good = body(sni("a.test") + alpn({"h2"}));
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
        if (cut == good.size() - extension(0, "").size())
            continue;
        const std::string cut_body = good.substr(0, cut);
        const Status status = parse_client_hello(records(message(cut_body))).status;
        const bool before_extensions = cut == body("").size() - 2;
        EXPECT_EQ(status, before_extensions ? Status::Found : Status::NotTls) << cut;
    }
    EXPECT_EQ(parse_client_hello(records(message(good + "x"))).status, Status::NotTls);
}

TEST(ClientHello, WhatIsNoneIsRefusedAtOnce)
{
    const struct {
        const char* name;
        std::string bytes;
    } rows[] = {
        {"HTTP", "G"},
        {"an alert", "\x15"},
        {"SSL 2", "\x80"},
        {"another version", "\x16\x02"},
        {"an empty record", std::string("\x16\x03\x01\x00\x00", 5)},
        {"a record too large", std::string("\x16\x03\x01\x40\x01", 5)},
        {"a ServerHello", records(message(body(""), '\x02')).substr(0, 6)},
        {"a message too large", records(std::string("\x01\x01\x00\x00", 4))},
        {"not a record after the first", records(message(body(sni("a.test"))).substr(0, 20)) + "\x17"},
        {"name twice", hello(sni("a.test") + sni("b.test"))},
        {"two names", hello(extension(0, with_length('\0' + with_length("a", 2) + '\0' + with_length("b", 2), 2)))},
        {"an empty name", hello(sni(""))},
        {"a NUL in the name", hello(sni(std::string("a\0b", 3)))},
        {"a space in the name", hello(sni("a b"))},
        {"a name too long", hello(sni(std::string(256, 'a')))},
        {"an empty protocol", hello(alpn({""}))},
        {"no protocol", hello(alpn({}))},
        {"protocols twice", hello(alpn({"h2"}) + alpn({"h2"}))},
    };
    for (const auto& row : rows)
        EXPECT_EQ(parse_client_hello(row.bytes).status, Status::NotTls) << row.name;
}

TEST(ClientHello, IsBounded)
{
    // Never whole, in tiny records.
    const std::string tiny = records(message(std::string(16'000, '\0')).substr(0, 4'000), 1);
    ASSERT_GT(tiny.size(), kClientHelloBytesMax);
    EXPECT_EQ(parse_client_hello(tiny.substr(0, kClientHelloBytesMax - 1)).status, Status::NeedMore);
    EXPECT_EQ(parse_client_hello(tiny.substr(0, kClientHelloBytesMax)).status, Status::NotTls);
    EXPECT_EQ(parse_client_hello(tiny).status, Status::NotTls);
}

TEST(ClientHello, IsReadAsTheTlsEngineSendsIt)
{
    TlsClientOptions options = client_options("engine.test");
    options.alpn = {"h2", "http/1.1"};
    const auto session = TlsSession::connect(must_make(options));
    const ClientHello found = parse_client_hello(session->output());
    EXPECT_EQ(found.status, Status::Found);
    EXPECT_EQ(found.server_name, "engine.test");
    EXPECT_EQ(found.alpn, options.alpn);
}

TEST(ClientHelloCorpus, EveryInputIsJudgedAsItsNameSays)
{
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("tests/fuzz/client_hello/corpus")) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        const std::string name = entry.path().filename().string();
        SCOPED_TRACE(name);
        EXPECT_EQ(fuzz::violated_client_hello_property(bytes), nullptr);
        const Status status = parse_client_hello(bytes).status;
        EXPECT_EQ(status, name.starts_with("good-")  ? Status::Found
                          : name.starts_with("cut-") ? Status::NeedMore
                                                     : Status::NotTls);
        ++count;
    }
    EXPECT_GE(count, 8U);
}

}  // namespace
}  // namespace sluice::proxy::testing
