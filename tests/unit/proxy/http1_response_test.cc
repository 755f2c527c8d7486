// SPDX-License-Identifier: Apache-2.0
// Response heads: framing by status, method and fields; what cannot be framed for sure is refused.
#include <gtest/gtest.h>

#include <string>

#include "agent/proxy/http1.h"

namespace sluice::proxy::http1 {
namespace {

constexpr HeadLimits kLimits{.bytes_max = 4096, .line_bytes_max = 1024, .count_max = 100};

const struct Accepted {
    const char* text;
    const char* method;
    int status;
    Framing framing;
    std::uint64_t length;
    bool keep_alive;
} kAccepted[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", 200, Framing::Length, 5, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", 200, Framing::Length, 0, true},
    {"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", "GET", 200, Framing::Length, 5, true},
    {"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", "GET", 200, Framing::Length, 5, true},
    {"HTTP/1.1 200 Not \xc3\xa4 word\r\nX_Y: 1\r\nTransfer-Encoding: Chunked\r\n\r\n", "GET", 200, Framing::Chunked, 0,
     true},
    {"HTTP/1.1 200 OK\r\n\r\n", "GET", 200, Framing::UntilClose, 0, false},
    {"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", "GET", 200, Framing::UntilClose, 0, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", "GET", 200, Framing::Length, 5, false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", 200, Framing::Length, 5, false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\n", "GET", 200, Framing::Length, 5, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "GET", 200, Framing::Length, 5, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", 200, Framing::None, 5, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD", 200, Framing::None, 0, true},
    {"HTTP/1.1 200 OK\r\n\r\n", "HEAD", 200, Framing::None, 0, true},
    {"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", "GET", 304, Framing::None, 5, true},
    {"HTTP/1.1 204 x\r\n\r\n", "GET", 204, Framing::None, 0, true},
    {"HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n", "GET", 204, Framing::None, 0, true},
    {"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", "GET", 204, Framing::None, 5, false},
    {"HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", 204, Framing::None, 0, false},
    {"HTTP/1.1 100 Continue\r\n\r\n", "POST", 100, Framing::None, 0, true},
    {"HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\n", "GET", 103, Framing::None, 5, false},
    {"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "GET", 101, Framing::None, 0, true},
    {"HTTP/1.1 599 x\r\nContent-Length: 1\r\n\r\n", "GET", 599, Framing::Length, 1, true},
};

TEST(Http1Response, AcceptedHeadsMeanWhatTheySay)
{
    for (const Accepted& row : kAccepted) {
        SCOPED_TRACE(std::string(row.method) + " " + row.text);
        const std::string text = std::string(row.text) + "body";
        ResponseHead head;
        const ParseResult result = parse_response(text, kLimits, row.method, head);
        ASSERT_EQ(result.status, Status::Complete) << reason(result.reject);
        EXPECT_EQ(result.head_bytes, text.size() - 4);
        EXPECT_EQ(head.status, row.status);
        EXPECT_EQ(head.framing, row.framing);
        EXPECT_EQ(head.content_length, row.length);
        EXPECT_EQ(head.keep_alive, row.keep_alive);
    }
}

TEST(Http1Response, EveryTruncationOfAnAcceptedHeadIsIncomplete)
{
    for (const Accepted& row : kAccepted) {
        const std::string_view text = row.text;
        for (std::size_t length = 0; length < text.size(); ++length) {
            ResponseHead head;
            EXPECT_EQ(parse_response(text.substr(0, length), kLimits, row.method, head).status, Status::Incomplete)
                << text << " cut at " << length;
        }
    }
}

TEST(Http1Response, EachRefusalHasItsReason)
{
    const struct {
        const char* text;
        Reject reject;
    } rows[] = {
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", Reject::StatusLine},
        {"\nHTTP/1.1 200 OK\r\n\r\n", Reject::BareLineFeed},
        {"http/1.1 200 OK\r\n\r\n", Reject::StatusLine},
        {"HTTP/1.1  200 OK\r\n\r\n", Reject::StatusLine},
        {"HTTP/1.1 20 OK\r\n\r\n", Reject::StatusLine},
        {"HTTP/1.1 2000 OK\r\n\r\n", Reject::StatusLine},
        {"HTTP/1.1 099 OK\r\n\r\n", Reject::StatusLine},
        {"HTTP/1.1 600 OK\r\n\r\n", Reject::StatusLine},
        {"HTTP/1.1 +20 OK\r\n\r\n", Reject::StatusLine},
        {"HTTP/1.1 200\tOK\r\n\r\n", Reject::StatusLine},
        {"HTTP/1.1 200 O\x01K\r\n\r\n", Reject::StatusLine},
        {"HTTP/1.1 200 OK\rX", Reject::StatusLine},
        {"HTTP/1.1 200 OK\n\r\n", Reject::BareLineFeed},
        {"HTTP/2.0 200 OK\r\n\r\n", Reject::Version},
        {"HTTP/1.2 200 OK\r\n\r\n", Reject::Version},
        {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", Reject::ObsFold},
        {"HTTP/1.1 200 OK\r\nX : a\r\n\r\n", Reject::SpaceBeforeColon},
        {"HTTP/1.1 200 OK\r\nX: a\n\r\n", Reject::BareLineFeed},
        {"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", Reject::HeaderValue},
        {"HTTP/1.1 200 OK\r\n: a\r\n\r\n", Reject::HeaderName},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", Reject::ContentLength},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\n", Reject::ContentLength},
        {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Reject::ContentLength},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
         Reject::ContentLengthWithTransferEncoding},
        {"HTTP/1.1 304 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
         Reject::ContentLengthWithTransferEncoding},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Reject::TransferEncoding},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         Reject::TransferEncoding},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Reject::TransferEncodingVersion},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.text);
        ResponseHead head;
        const ParseResult result = parse_response(row.text, kLimits, "GET", head);
        EXPECT_EQ(result.status, Status::Invalid);
        EXPECT_EQ(reason(result.reject), reason(row.reject));
    }
}

TEST(Http1Response, HeadBytesAreBoundedExactly)
{
    const auto of_size = [](std::size_t bytes) {
        const std::string start = "HTTP/1.1 200 OK\r\nX: ";
        return start + std::string(bytes - start.size() - 4, 'x') + "\r\n\r\n";
    };
    ResponseHead head;
    EXPECT_EQ(parse_response(of_size(4096), kLimits, "GET", head).status, Status::Complete);
    EXPECT_EQ(parse_response(of_size(4097), kLimits, "GET", head).reject, Reject::HeaderTooLarge);
    EXPECT_EQ(parse_response(of_size(9000).substr(0, 4095), kLimits, "GET", head).status, Status::Incomplete);
    const std::string endless_reason = "HTTP/1.1 200 " + std::string(5000, 'x');
    EXPECT_EQ(parse_response(endless_reason, kLimits, "GET", head).reject, Reject::HeaderTooLarge);
}

}  // namespace
}  // namespace sluice::proxy::http1
