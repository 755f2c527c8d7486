// SPDX-License-Identifier: Apache-2.0
// Request heads: what is accepted and what it means, what is refused and why, at every limit and cut at every byte.
#include <gtest/gtest.h>

#include <string>

#include "agent/proxy/http1.h"

namespace sluice::proxy::http1 {
namespace {

constexpr HeadLimits kLimits{.bytes_max = 4096, .line_bytes_max = 1024, .count_max = 100};

Reject reject_of(std::string_view text)
{
    RequestHead head;
    const ParseResult result = parse_request(text, kLimits, head);
    EXPECT_EQ(result.status == Status::Invalid, result.reject != Reject::None);
    return result.reject;
}

struct Accepted {
    const char* text;
    const char* method;
    const char* path;
    const char* query;
    const char* authority;
    Framing framing;
    std::uint64_t length;
    bool keep_alive;
};

const Accepted kAccepted[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", "a", Framing::None, 0, true},
    {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", "a", Framing::None, 0, true},
    {"GET / HTTP/1.0\r\n\r\n", "GET", "/", "", "", Framing::None, 0, false},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET", "/", "", "", Framing::None, 0, true},
    {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET", "/", "", "", Framing::None, 0, false},
    {"GET /a?b=c?d HTTP/1.1\r\nhOsT:a:80\r\n\r\n", "GET", "/a", "b=c?d", "a:80", Framing::None, 0, true},
    {"GET /? HTTP/1.1\r\nHost: [2001:db8::1]:8080 \t\r\n\r\n", "GET", "/", "", "[2001:db8::1]:8080", Framing::None, 0,
     true},
    {"M-SEARCH / HTTP/1.1\r\nHost: 192.0.2.1\r\nConnection: x, CLOSE\r\n\r\n", "M-SEARCH", "/", "", "192.0.2.1",
     Framing::None, 0, false},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "*", "", "a", Framing::None, 0, true},
    {"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "*", "", "b", Framing::None, 0, true},
    {"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", "b", Framing::None, 0, true},
    {"GET HTTPS://b:1?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "q", "b:1", Framing::None, 0, true},
    {"GET http://b/p?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/p", "q", "b", Framing::None, 0, true},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "POST", "/", "", "a", Framing::Length, 0, true},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n", "POST", "/", "", "a", Framing::Length,
     9223372036854775807U, true},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:7\r\ncontent-length:\t7\r\n\r\n", "POST", "/", "", "a",
     Framing::Length, 7, true},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChunkeD\r\n\r\n", "POST", "/", "", "a", Framing::Chunked, 0,
     true},
    {"GET / HTTP/1.1\r\nHost: a\r\nEmpty:\r\nObs: \xc3\xa4\xff\r\nTab: a\tb\r\n\r\n", "GET", "/", "", "a",
     Framing::None, 0, true},
};

TEST(Http1Request, AcceptedHeadsMeanWhatTheySay)
{
    for (const Accepted& row : kAccepted) {
        SCOPED_TRACE(row.text);
        const std::string text = std::string(row.text) + "body";
        RequestHead head;
        const ParseResult result = parse_request(text, kLimits, head);
        ASSERT_EQ(result.status, Status::Complete) << reason(result.reject);
        EXPECT_EQ(result.head_bytes, text.size() - 4);
        EXPECT_EQ(head.method, row.method);
        EXPECT_EQ(head.path, row.path);
        EXPECT_EQ(head.query, row.query);
        EXPECT_EQ(head.authority, row.authority);
        EXPECT_EQ(head.framing, row.framing);
        EXPECT_EQ(head.content_length, row.length);
        EXPECT_EQ(head.keep_alive, row.keep_alive);
    }
}

TEST(Http1Request, EveryTruncationOfAnAcceptedHeadIsIncomplete)
{
    for (const Accepted& row : kAccepted) {
        const std::string_view text = row.text;
        for (std::size_t length = 0; length < text.size(); ++length) {
            RequestHead head;
            EXPECT_EQ(parse_request(text.substr(0, length), kLimits, head).status, Status::Incomplete)
                << text << " cut at " << length;
        }
    }
}

TEST(Http1Request, EachRefusalHasItsReason)
{
    const struct {
        std::string_view text;
        Reject reject;
    } rows[] = {
        {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::RequestLine},
        {"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::BareLineFeed},
        {" GET / HTTP/1.1\r\n", Reject::RequestLine},
        {"GET  / HTTP/1.1\r\n", Reject::RequestLine},
        {"GET /  HTTP/1.1\r\n", Reject::RequestLine},
        {"GET\t/ HTTP/1.1\r\n", Reject::RequestLine},
        {"GET / HTTP/1.1 \r\n", Reject::RequestLine},
        {"GET / HTTP/1.1\rX", Reject::RequestLine},
        {"GET / HTTP/1.1\n", Reject::BareLineFeed},
        {"GET\n", Reject::BareLineFeed},
        {"GET /\r\n", Reject::RequestLine},
        {"GET /\n", Reject::BareLineFeed},
        {"G(T / HTTP/1.1\r\n", Reject::RequestLine},
        {"\x16\x03\x01", Reject::RequestLine},
        {"CONNECT a:443 HTTP/1.1\r\n", Reject::Method},
        {"GET / http/1.1\r\n", Reject::RequestLine},
        {"GET / HTTP/11\r\n", Reject::RequestLine},
        {"GET / HTTP/1.10\r\n", Reject::RequestLine},
        {"GET / HTTP/1.2\r\n", Reject::Version},
        {"GET / HTTP/0.9\r\n", Reject::Version},
        {"PRI * HTTP/2.0\r\n", Reject::Version},
        {"GET * HTTP/1.1\r\n", Reject::Target},
        {"OPTIONS *a HTTP/1.1\r\n", Reject::Target},
        {"GET a HTTP/1.1\r\n", Reject::Target},
        {"GET a:80 HTTP/1.1\r\n", Reject::Target},
        {"GET ?q HTTP/1.1\r\n", Reject::Target},
        {"GET /#f HTTP/1.1\r\n", Reject::Target},
        {"GET /?#f HTTP/1.1\r\n", Reject::Target},
        {"GET /\\ HTTP/1.1\r\n", Reject::Target},
        {"GET /\x80 HTTP/1.1\r\n", Reject::Target},
        {"GET ftp://a/ HTTP/1.1\r\n", Reject::Target},
        {"GET http:/a/ HTTP/1.1\r\n", Reject::Target},
        {"GET http:///a HTTP/1.1\r\n", Reject::Target},
        {"GET http://u@a/ HTTP/1.1\r\n", Reject::Target},
        {"GET http://a:b/ HTTP/1.1\r\n", Reject::Target},
        {"GET / HTTP/1.1\r\n\r\n", Reject::HostMissing},
        {"GET http://a/ HTTP/1.1\r\n\r\n", Reject::HostMissing},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Reject::HostDuplicate},
        {"GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n", Reject::HostDuplicate},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", Reject::HostInvalid},
        {"GET / HTTP/1.1\r\n folded: a\r\n\r\n", Reject::ObsFold},
        {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Reject::ObsFold},
        {"GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n", Reject::ObsFold},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", Reject::SpaceBeforeColon},
        {"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", Reject::SpaceBeforeColon},
        {"GET / HTTP/1.1\r\n: a\r\n\r\n", Reject::HeaderName},
        {"GET / HTTP/1.1\r\nHost\r\n\r\n", Reject::HeaderName},
        {"GET / HTTP/1.1\r\nX_Y: a\r\n\r\n", Reject::HeaderName},
        {"GET / HTTP/1.1\r\nHost\n: a\r\n\r\n", Reject::BareLineFeed},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", Reject::BareLineFeed},
        {"GET / HTTP/1.1\r\nHost: a\r\n\n", Reject::BareLineFeed},
        {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", Reject::HeaderValue},
        {"GET / HTTP/1.1\r\nHost: a\r\n\rX", Reject::HeaderName},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: \"close\"\r\n\r\n", Reject::HeaderValue},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: ,,,,,,,,,,,,,,,,\r\nConnection: ,,,,,,,,,,,,,,,,,,\r\n\r\n",
         Reject::HeaderValue},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.text);
        EXPECT_EQ(reason(reject_of(row.text)), reason(row.reject));
    }
}

TEST(Http1Request, HostIsANameOrAnAddressWithAPort)
{
    const std::string longest(254, 'a');
    const struct {
        std::string host;
        bool good;
    } rows[] = {
        {"a", true},
        {"a.example.com.", true},
        {"a_b", true},
        {"192.0.2.1:0", true},
        {"a:65535", true},
        {"a:", true},
        {"[::1]", true},
        {"[::1]:", true},
        {"[::1]:80", true},
        {longest, true},
        {longest + ":1", true},
        {longest + "aaaaaaa", false},
        {"a:65536", false},
        {"a:000080", false},
        {"a:+1", false},
        {"a:80:80", false},
        {":80", false},
        {".", false},
        {"a b", false},
        {"a,b", false},
        {"a/b", false},
        {"a@b", false},
        {"u@a:80", false},
        {"%61", false},
        {"[::1", false},
        {"::1", false},
        {"[::1]x", false},
        {"[::1%eth0]", false},
        {"[192.0.2.1]", false},
        {"[v1.a]", false},
        {"a?b", false},
        {"a#b", false},
        {"a\\b", false},
        {"\xc3\xa4", false},
        {"[]", false},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.host);
        EXPECT_EQ(reject_of("GET / HTTP/1.1\r\nHost: " + row.host + "\r\n\r\n"),
                  row.good ? Reject::None : Reject::HostInvalid);
    }
}

// Every byte in every kind of place: the class of the place decides, as RFC 9110 and RFC 3986 spell it out.
TEST(Http1Request, EveryByteIsJudgedByItsPlace)
{
    const std::string alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const auto is_one_of = [](const std::string& set, char c) { return set.find(c) != std::string::npos; };
    for (int value = 0; value < 256; ++value) {
        SCOPED_TRACE(value);
        const char c = static_cast<char>(value);
        const std::string byte(1, c);
        const bool is_token = is_one_of(alnum + "!#$%&'*+-.^_`|~", c);
        const bool is_path = is_one_of(alnum + "-._~!$&'()*+,;=:@/%", c);
        const bool is_query = value > 0x20 && value < 0x7f && c != '#';
        const bool is_text = c == '\t' || (value >= 0x20 && value != 0x7f);
        const auto accepts = [](const std::string& text) { return reject_of(text) == Reject::None; };
        EXPECT_EQ(accepts("G" + byte + "T / HTTP/1.1\r\nHost: a\r\n\r\n"), is_token);
        EXPECT_EQ(accepts("GET /x" + byte + "y HTTP/1.1\r\nHost: a\r\n\r\n"), is_path || c == '?');
        EXPECT_EQ(accepts("GET /?x" + byte + "y HTTP/1.1\r\nHost: a\r\n\r\n"), is_query);
        EXPECT_EQ(accepts("GET / HTTP/1.1\r\nHost: a\r\nX" + byte + "Y: b\r\n\r\n"),
                  (is_token && c != '_') || c == ':');
        // Fields are read in blocks of sixteen bytes: every place in two of them and a bit.
        for (std::size_t at = 0; at < 40; ++at) {
            SCOPED_TRACE(at);
            std::string name = "Abcdefgh-jklmNop-rstuvwx-YzAbcde1ghijklm";
            std::string text = "0123456789abcde\xffghij klmnopqrst\tuvw:yz,.";
            ASSERT_TRUE(name.size() == 40 && text.size() == 40);
            name[at] = text[at] = c;
            EXPECT_EQ(accepts("GET / HTTP/1.1\r\nHost: a\r\n" + name + ": b\r\n\r\n"),
                      (is_token && c != '_') || (c == ':' && at > 0));
            EXPECT_EQ(accepts("GET / HTTP/1.1\r\nHost: a\r\nX: " + text + "\r\n\r\n"), is_text);
        }
        for (std::size_t at = 0; at < 40; ++at) {
            SCOPED_TRACE(at);
            std::string host = "Abcdefgh-jklmNop.rst0vwx-YzA_cde1~hijklm";
            host[at] = c;
            EXPECT_EQ(accepts("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"),
                      is_one_of(alnum + "-._~", c) || (at == 0 && (c == ' ' || c == '\t')) ||
                          (at == 39 && (c == ' ' || c == '\t' || c == ':')));
        }
        EXPECT_EQ(accepts("GET / HTTP/1.1" + byte + "\nHost: a\r\n\r\n"), c == '\r');
        EXPECT_EQ(accepts("GET / HTTP/1.1\r" + byte + "Host: a\r\n\r\n"), c == '\n');
        EXPECT_EQ(accepts("GET / HTTP/1.1\r\nHost: a\r" + byte + "\r\n"), c == '\n');
        EXPECT_EQ(accepts("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1" + byte + "1\r\n\r\n"),
                  value >= '0' && value <= '9');
        EXPECT_EQ(accepts("GET / HTTP/1." + byte + "\r\nHost: a\r\n\r\n"), c == '0' || c == '1');
    }
}

std::string request_of_size(std::size_t bytes)
{
    const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    return start + std::string(bytes - start.size() - 4, 'x') + "\r\n\r\n";
}

TEST(Http1Request, HeadBytesAreBoundedExactly)
{
    RequestHead head;
    EXPECT_EQ(parse_request(request_of_size(4095), kLimits, head).status, Status::Complete);
    EXPECT_EQ(parse_request(request_of_size(4096), kLimits, head).status, Status::Complete);
    EXPECT_EQ(parse_request(request_of_size(4097), kLimits, head).reject, Reject::HeaderTooLarge);
    EXPECT_EQ(parse_request(request_of_size(9000).substr(0, 4095), kLimits, head).status, Status::Incomplete);
    EXPECT_EQ(parse_request(request_of_size(9000).substr(0, 4096), kLimits, head).reject, Reject::HeaderTooLarge);
}

TEST(Http1Request, TheRequestLineIsBoundedExactly)
{
    const auto with_line = [](std::size_t bytes) {
        return "GET /" + std::string(bytes - 14, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n";
    };
    EXPECT_EQ(reject_of(with_line(1023)), Reject::None);
    EXPECT_EQ(reject_of(with_line(1024)), Reject::None);
    EXPECT_EQ(reject_of(with_line(1025)), Reject::RequestLineTooLong);
    EXPECT_EQ(reject_of("\r\n" + with_line(1024)), Reject::None);
    EXPECT_EQ(reject_of("\r\n" + with_line(1025)), Reject::RequestLineTooLong);
    EXPECT_EQ(reject_of("GET /" + std::string(1020, 'x')), Reject::None);
    EXPECT_EQ(reject_of("GET /" + std::string(1021, 'x')), Reject::RequestLineTooLong);
    constexpr HeadLimits kSmallHead{.bytes_max = 64, .line_bytes_max = 1024, .count_max = 100};
    RequestHead head;
    EXPECT_EQ(parse_request(with_line(100), kSmallHead, head).reject, Reject::RequestLineTooLong);
}

TEST(Http1Request, TheMethodIsBoundedExactly)
{
    const std::string rest = " / HTTP/1.1\r\nHost: a\r\n\r\n";
    EXPECT_EQ(reject_of(std::string(31, 'A') + rest), Reject::None);
    EXPECT_EQ(reject_of(std::string(32, 'A') + rest), Reject::None);
    EXPECT_EQ(reject_of(std::string(33, 'A') + rest), Reject::Method);
    EXPECT_EQ(reject_of(std::string(33, 'A')), Reject::Method);
}

TEST(Http1Request, TheNumberOfFieldsIsBoundedExactly)
{
    const auto with_fields = [](std::size_t count, const std::string& field) {
        std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
        for (std::size_t i = 1; i < count; ++i)
            text += field;
        return text + "\r\n";
    };
    EXPECT_EQ(reject_of(with_fields(99, "X:\r\n")), Reject::None);
    EXPECT_EQ(reject_of(with_fields(100, "X:\r\n")), Reject::None);
    EXPECT_EQ(reject_of(with_fields(101, "X:\r\n")), Reject::HeaderTooMany);
    EXPECT_EQ(reject_of(with_fields(101, "Content-Length: 1\r\n")), Reject::HeaderTooMany);
    constexpr HeadLimits kWide{.bytes_max = 4096, .line_bytes_max = 1024, .count_max = 1000};
    RequestHead head;
    EXPECT_EQ(parse_request(with_fields(kHeadersMax, "X:\r\n"), kWide, head).status, Status::Complete);
    EXPECT_EQ(head.header_count, kHeadersMax);
    EXPECT_EQ(parse_request(with_fields(kHeadersMax + 1, "X:\r\n"), kWide, head).reject, Reject::HeaderTooMany);
}

TEST(Http1Request, FieldsPointIntoTheBufferAndARepeatedLengthIsLeftOut)
{
    const std::string text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-A: \t b c \t\r\n"
                             "CONTENT-LENGTH: 3\r\nX-B:\r\n\r\nabc";
    RequestHead head;
    ASSERT_EQ(parse_request(text, kLimits, head).status, Status::Complete);
    ASSERT_EQ(head.header_count, 4);
    EXPECT_EQ(head.headers[1].name, "Content-Length");
    EXPECT_EQ(head.headers[2].name, "X-A");
    EXPECT_EQ(head.headers[2].value, "b c");
    EXPECT_EQ(head.headers[3].name, "X-B");
    EXPECT_EQ(head.headers[3].value, "");
    EXPECT_GE(head.headers[2].value.data(), text.data());
    EXPECT_LE(head.headers[2].value.data() + 3, text.data() + text.size());
}

TEST(Http1Request, ExpectAndUpgradeNeedTheirConditions)
{
    const struct {
        const char* text;
        bool expect_continue;
        bool upgrade;
    } rows[] = {
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n", true, false},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", true, false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", false, false},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", false, false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: else\r\n\r\n", false, false},
        {"POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n", false, false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", false, true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", false, false},
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", false, false},
        {"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false, false},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.text);
        RequestHead head;
        ASSERT_EQ(parse_request(row.text, kLimits, head).status, Status::Complete);
        EXPECT_EQ(head.expect_continue, row.expect_continue);
        EXPECT_EQ(head.upgrade, row.upgrade);
    }
}

TEST(Http1Request, AUsedHeadCarriesNothingOver)
{
    RequestHead head;
    ASSERT_EQ(parse_request("POST http://b/p?q HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: x\r\n"
                            "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                            kLimits, head)
                  .status,
              Status::Complete);
    ASSERT_EQ(parse_request("GET / HTTP/1.1\r\nHost: c\r\n\r\n", kLimits, head).status, Status::Complete);
    EXPECT_EQ(head.authority, "c");
    EXPECT_EQ(head.query, "");
    EXPECT_EQ(head.framing, Framing::None);
    EXPECT_EQ(head.content_length, 0U);
    EXPECT_EQ(head.header_count, 1);
    EXPECT_TRUE(head.keep_alive);
    EXPECT_FALSE(head.expect_continue);
    EXPECT_FALSE(head.upgrade);
}

TEST(RequestHead, NothingOfAnEarlierRequestStays)
{
    RequestHead head;
    ASSERT_EQ(parse_request("POST http://a/b?secret HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n"
                            "Expect: 100-continue\r\n\r\n",
                            kLimits, head)
                  .status,
              Status::Complete);
    ASSERT_EQ(parse_request("OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n", kLimits, head).status, Status::Complete);
    EXPECT_EQ(head.path, "*");
    EXPECT_EQ(head.query, "");
    EXPECT_EQ(head.authority, "b");
    EXPECT_EQ(head.framing, Framing::None);
    EXPECT_EQ(head.content_length, 0U);
    EXPECT_TRUE(head.keep_alive);
    EXPECT_FALSE(head.expect_continue);
}

}  // namespace
}  // namespace sluice::proxy::http1
