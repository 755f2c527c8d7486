// SPDX-License-Identifier: Apache-2.0
// Request smuggling: every way to make two parsers disagree about where a message ends is refused, by name. After the
// classes of RFC 9112 section 11.2 and the CVEs of other proxies. Also the helpers for hop-by-hop fields.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "agent/proxy/http1.h"

namespace sluice::proxy::http1 {
namespace {

constexpr HeadLimits kLimits{.bytes_max = 4096, .line_bytes_max = 1024, .count_max = 100};

using namespace std::string_literals;

const struct {
    std::string fields;  // behind "POST / HTTP/1.1" and Host
    Reject reject;
} kAmbiguous[] = {
    {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", Reject::ContentLengthWithTransferEncoding},
    {"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", Reject::ContentLengthWithTransferEncoding},
    {"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", Reject::ContentLengthWithTransferEncoding},
    {"Transfer-Encoding: xchunked\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: chunkedx\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: identity\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: gzip\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: gzip, chunked\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: chunked, identity\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: chunked, chunked\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: chunked,\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: ,chunked\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: \"chunked\"\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: chunked;q=1\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding:\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: \xff"
     "chunked\r\n",
     Reject::TransferEncoding},
    {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", Reject::TransferEncoding},
    {"Transfer-Encoding : chunked\r\n", Reject::SpaceBeforeColon},
    {"Transfer-Encoding\t: chunked\r\n", Reject::SpaceBeforeColon},
    {" Transfer-Encoding: chunked\r\n", Reject::ObsFold},
    {"X: a\r\n Transfer-Encoding: chunked\r\n", Reject::ObsFold},
    {"Transfer-Encoding:\r\n chunked\r\n", Reject::ObsFold},
    {"X: a\nTransfer-Encoding: chunked\r\n", Reject::BareLineFeed},
    {"X: a\rTransfer-Encoding: chunked\r\n", Reject::HeaderValue},
    {"X: a\r\rTransfer-Encoding: chunked\r\n", Reject::HeaderValue},
    {"Transfer-Encoding: \x0b"
     "chunked\r\n",
     Reject::HeaderValue},
    {"Transfer-Encoding: chunked\x0c\r\n", Reject::HeaderValue},
    {"Transfer-Encoding: chunked\0\r\n"s, Reject::HeaderValue},
    {"Transfer-Encoding\0: chunked\r\n"s, Reject::HeaderName},
    {"\0Transfer-Encoding: chunked\r\n"s, Reject::HeaderName},
    {"Transfer_Encoding: chunked\r\n", Reject::HeaderName},
    {"Content_Length: 4\r\n", Reject::HeaderName},
    {": a\r\nContent-Length: 4\r\n", Reject::HeaderName},
    {"Content-Length:\r\n", Reject::ContentLength},
    {"Content-Length: +4\r\n", Reject::ContentLength},
    {"Content-Length: -4\r\n", Reject::ContentLength},
    {"Content-Length: 0x4\r\n", Reject::ContentLength},
    {"Content-Length: 4.0\r\n", Reject::ContentLength},
    {"Content-Length: 1e1\r\n", Reject::ContentLength},
    {"Content-Length: 4_0\r\n", Reject::ContentLength},
    {"Content-Length: 4 4\r\n", Reject::ContentLength},
    {"Content-Length: \"4\"\r\n", Reject::ContentLength},
    {"Content-Length: 4, 4\r\n", Reject::ContentLength},
    {"Content-Length: 4,\r\n", Reject::ContentLength},
    {"Content-Length: 4\r\nContent-Length: 5\r\n", Reject::ContentLength},
    {"Content-Length: 4\r\nContent-Length: 04\r\n", Reject::ContentLength},
    {"Content-Length: 4\r\nContent-Length:\r\n", Reject::ContentLength},
    {"Content-Length: 9223372036854775808\r\n", Reject::ContentLength},
    {"Content-Length: 18446744073709551616\r\n", Reject::ContentLength},
    {"Content-Length: 18446744073709551620\r\n", Reject::ContentLength},
    {"Content-Length: 99999999999999999999999999\r\n", Reject::ContentLength},
    {"Content-Length : 4\r\n", Reject::SpaceBeforeColon},
    {"Host: b\r\n", Reject::HostDuplicate},
};

TEST(Http1Framing, AmbiguousRequestsAreRefused)
{
    for (const auto& row : kAmbiguous) {
        SCOPED_TRACE(row.fields);
        RequestHead head;
        const ParseResult result =
            parse_request("POST / HTTP/1.1\r\nHost: a\r\n" + row.fields + "\r\n0\r\n\r\n", kLimits, head);
        EXPECT_EQ(result.status, Status::Invalid);
        EXPECT_EQ(reason(result.reject), reason(row.reject));
    }
}

TEST(Http1Framing, TransferEncodingBelongsToVersionOneOne)
{
    RequestHead head;
    EXPECT_EQ(parse_request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", kLimits, head).reject,
              Reject::TransferEncodingVersion);
    EXPECT_EQ(parse_request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", kLimits, head)
                  .reject,
              Reject::TransferEncodingVersion);
}

TEST(Http1Framing, EveryRefusalHasItsOwnNameAndAStatusCode)
{
    std::set<std::string_view> names;
    const auto last = static_cast<int>(Reject::TrailerTooLarge);
    for (int i = 0; i <= last; ++i) {
        const auto reject = static_cast<Reject>(i);
        EXPECT_TRUE(names.insert(reason(reject)).second) << reason(reject);
        const int code = status_code(reject);
        EXPECT_TRUE(code == 400 || code == 414 || code == 431 || code == 501 || code == 505) << code;
    }
    EXPECT_EQ(names.count("unknown"), 0U);
    EXPECT_EQ(status_code(Reject::Method), 501);
    EXPECT_EQ(status_code(Reject::Version), 505);
    EXPECT_EQ(status_code(Reject::TransferEncoding), 501);
    EXPECT_EQ(status_code(Reject::RequestLineTooLong), 414);
    EXPECT_EQ(status_code(Reject::HeaderTooLarge), 431);
    EXPECT_EQ(status_code(Reject::HeaderTooMany), 431);
}

TEST(Http1Framing, HopByHopFieldsAreKnownInAnyCase)
{
    for (const char* name : {"Connection", "KEEP-ALIVE", "proxy-connection", "TE", "Trailer", "Transfer-Encoding",
                             "Upgrade", "Proxy-Authorization", "HTTP2-Settings"})
        EXPECT_TRUE(is_hop_by_hop(field_name(name))) << name;
    for (const char* name : {"Host", "Content-Length", "Connection2", "", "Authorization", "Via"})
        EXPECT_FALSE(is_hop_by_hop(field_name(name))) << name;
}

TEST(Http1Framing, FieldsAreKnownByTheirWholeNames)
{
    const struct {
        std::string name;
        FieldName known;
    } rows[] = {{"TE", FieldName::Te},
                {"Host", FieldName::Host},
                {"Expect", FieldName::Expect},
                {"Trailer", FieldName::Trailer},
                {"Upgrade", FieldName::Upgrade},
                {"Forwarded", FieldName::Forwarded},
                {"Connection", FieldName::Connection},
                {"Keep-Alive", FieldName::KeepAlive},
                {"Content-Type", FieldName::ContentType},
                {"Content-Length", FieldName::ContentLength},
                {"HTTP2-Settings", FieldName::Http2Settings},
                {"X-Forwarded-For", FieldName::XForwardedFor},
                {"X-Forwarded-Host", FieldName::XForwardedHost},
                {"Proxy-Connection", FieldName::ProxyConnection},
                {"Transfer-Encoding", FieldName::TransferEncoding},
                {"X-Forwarded-Proto", FieldName::XForwardedProto},
                {"Proxy-Authenticate", FieldName::ProxyAuthenticate},
                {"Proxy-Authorization", FieldName::ProxyAuthorization}};
    for (const auto& [name, known] : rows) {
        EXPECT_EQ(field_name(name), known) << name;
        EXPECT_EQ(field_name(name + "s"), FieldName::Other) << name;
        EXPECT_EQ(field_name(name.substr(1)), FieldName::Other) << name;
        for (std::size_t at = 0; at < name.size(); ++at) {
            std::string other = name;
            other[at] ^= 0x20;
            EXPECT_EQ(field_name(other), name[at] == '-' || name[at] == '2' ? FieldName::Other : known) << other;
            other[at] = '!';
            EXPECT_EQ(field_name(other), FieldName::Other) << other;
        }
    }
}

TEST(Http1Framing, NeighboursThatPassAreCopiedTogetherAndOddSpacingIsNotKept)
{
    RequestHead head;
    const std::string text =
        "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB:2\r\nC: 3\r\nD: \r\nE:\r\nF: \t4\r\nG: 5 \r\nH:\t6\r\n"
        "Drop: x\r\nI: 7\r\nContent-Length: 0\r\nContent-Length: 0\r\nJ: 8\r\n\r\n";
    ASSERT_EQ(parse_request(text, kLimits, head).status, Status::Complete);
    std::string copy;
    append_fields(copy, {head.headers, head.header_count}, [](const Header& header) { return header.name != "Drop"; });
    EXPECT_EQ(copy, "Host: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: \r\nE: \r\nF: 4\r\nG: 5\r\nH: 6\r\nI: 7\r\nContent-Length: "
                    "0\r\nJ: 8\r\n");
    const Header own[] = {{"X", "1"}, {"Y", "2"}};
    copy.clear();
    append_fields(copy, own, [](const Header&) { return true; });
    EXPECT_EQ(copy, "X: 1\r\nY: 2\r\n");
}

// Letters alone have two cases: '@' and '`', '[' and '{' differ in the same bit.
TEST(Http1Framing, NamesAreEqualWhereOnlyTheCaseOfLettersDiffers)
{
    const std::string name = "abcdefgh-jklmnopqrst";
    for (std::size_t size = 1; size <= name.size(); ++size) {
        for (std::size_t at = 0; at < size; ++at) {
            for (int value = 0; value < 256; ++value) {
                const char c = static_cast<char>(value);
                std::string one = name.substr(0, size);
                std::string other = one;
                other[at] = static_cast<char>(value ^ 0x20);
                one[at] = c;
                const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                ASSERT_EQ(equals_ignoring_case(one, other), is_letter) << size << ' ' << at << ' ' << value;
                other[at] = c;
                ASSERT_TRUE(equals_ignoring_case(one, other)) << size << ' ' << at << ' ' << value;
            }
        }
    }
    EXPECT_TRUE(is_named("tE", "te"));
    EXPECT_FALSE(is_named("t", "te"));
    EXPECT_TRUE(is_named("EXPECT", "expect"));
    EXPECT_FALSE(is_named("expec@", "expec`"));  // not a letter: it has no other case
    for (std::size_t at = 0; at < 17; ++at) {
        std::string field = "Transfer-Encoding";
        EXPECT_TRUE(is_named(field, "transfer-encoding"));
        field[at] = 'x';
        EXPECT_FALSE(is_named(field, "transfer-encoding")) << at;
    }
    EXPECT_TRUE(equals_ignoring_case("", ""));
    EXPECT_FALSE(equals_ignoring_case("abcdefgh", "abcdefghi"));
}

TEST(Http1Framing, ConnectionNamesFieldsBeyondThoseOfEveryHop)
{
    const auto names = [](const std::string& list) {
        RequestHead head;
        ResponseHead response;
        const std::string fields = "Host: a\r\nOther: x-one\r\ncOnnection: " + list + "\r\n\r\n";
        EXPECT_EQ(parse_request("GET / HTTP/1.1\r\n" + fields, kLimits, head).status, Status::Complete);
        EXPECT_EQ(parse_response("HTTP/1.1 200 OK\r\n" + fields, kLimits, "GET", response).status, Status::Complete);
        EXPECT_EQ(head.names_fields, response.names_fields);
        return head.names_fields;
    };
    for (const char* list : {"", "close", "Keep-Alive", " , close,\tTE ,upgrade"})
        EXPECT_FALSE(names(list)) << list;
    for (const char* list : {"x-one", "close, x-one", "keep-alive,closed"})
        EXPECT_TRUE(names(list)) << list;
}

TEST(Http1Framing, ConnectionNamesWholeTokensInAnyOfItsLines)
{
    const Header headers[] = {{"Connection", "close,X-One"}, {"Other", "X-Two"}, {"connection", ", , x-three ,"}};
    for (const char* token : {"close", "x-one", "X-Three"})
        EXPECT_TRUE(has_token(headers, "connection", token)) << token;
    for (const char* token : {"x-two", "x-on", "x-one2", "close,x-one"})
        EXPECT_FALSE(has_token(headers, "connection", token)) << token;
}

}  // namespace
}  // namespace sluice::proxy::http1
