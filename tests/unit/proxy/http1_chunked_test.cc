// SPDX-License-Identifier: Apache-2.0
// Chunked bodies: data comes out the same however the bytes arrive; what is not exactly the grammar is refused.
#include <gtest/gtest.h>

#include <string>

#include "agent/proxy/http1.h"

namespace sluice::proxy::http1 {
namespace {

struct Outcome {
    Status status = Status::Incomplete;
    Reject reject = Reject::None;
    std::string data;
    std::size_t consumed = 0;
};

// Feeds `text` in pieces of `piece` bytes.
Outcome decode(std::string_view text, std::size_t piece = std::string_view::npos)
{
    ChunkedDecoder decoder;
    Outcome outcome;
    while (outcome.status == Status::Incomplete && outcome.consumed < text.size()) {
        const auto step = decoder.next(text.substr(outcome.consumed, piece));
        outcome.status = step.status;
        outcome.reject = step.reject;
        outcome.data += step.data;
        outcome.consumed += step.consumed;
    }
    EXPECT_EQ(outcome.status == Status::Invalid, outcome.reject != Reject::None);
    return outcome;
}

const struct Accepted {
    const char* text;
    const char* data;
} kAccepted[] = {
    {"0\r\n\r\n", ""},
    {"000\r\n\r\n", ""},
    {"5\r\nhello\r\n0\r\n\r\n", "hello"},
    {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
    {"00000000000000aA\r\n"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789\r\n0\r\n\r\n",
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"
     "0123456789"},
    {"2;a=b;c=\"d;e\"\r\n\r\n\r\n0;x\r\n\r\n", "\r\n"},
    {"1;\r\na\r\n0\r\nTrailer_Name:\r\nX: \ty\xff\r\n\r\n", "a"},
};

TEST(Http1Chunked, DataIsTheSameHoweverTheBytesArrive)
{
    for (const Accepted& row : kAccepted) {
        SCOPED_TRACE(row.text);
        const std::string_view text = row.text;
        for (std::size_t piece = 1; piece <= text.size(); ++piece) {
            const Outcome outcome = decode(text, piece);
            EXPECT_EQ(outcome.status, Status::Complete) << reason(outcome.reject) << " in pieces of " << piece;
            EXPECT_EQ(outcome.data, row.data) << "in pieces of " << piece;
            EXPECT_EQ(outcome.consumed, text.size());
        }
    }
}

TEST(Http1Chunked, EveryTruncationIsIncomplete)
{
    for (const Accepted& row : kAccepted) {
        const std::string_view text = row.text;
        for (std::size_t length = 0; length < text.size(); ++length)
            EXPECT_EQ(decode(text.substr(0, length)).status, Status::Incomplete) << text << " cut at " << length;
    }
}

TEST(Http1Chunked, WhatFollowsTheBodyIsLeftAlone)
{
    const std::string body = "1\r\na\r\n0\r\n\r\n";
    const Outcome outcome = decode(body + "GET / HTTP/1.1\r\n");
    EXPECT_EQ(outcome.status, Status::Complete);
    EXPECT_EQ(outcome.consumed, body.size());
}

TEST(Http1Chunked, EachRefusalHasItsReason)
{
    using namespace std::string_literals;
    const struct {
        std::string text;
        Reject reject;
    } rows[] = {
        {"\r\n", Reject::ChunkSize},
        {";a\r\n", Reject::ChunkSize},
        {"\n", Reject::BareLineFeed},
        {"g\r\n", Reject::ChunkSize},
        {"0x5\r\n", Reject::ChunkSize},
        {"+5\r\n", Reject::ChunkSize},
        {"-5\r\n", Reject::ChunkSize},
        {"5_0\r\n", Reject::ChunkSize},
        {" 5\r\n", Reject::ChunkSize},
        {"5 \r\n", Reject::ChunkSize},
        {"5 ;a\r\n", Reject::ChunkSize},
        {"5\t\r\n", Reject::ChunkSize},
        {"5\0\r\n"s, Reject::ChunkSize},
        {"5\n", Reject::BareLineFeed},
        {"5\rX", Reject::ChunkSize},
        {"5\r\r\n", Reject::ChunkSize},
        {"5;a\n", Reject::BareLineFeed},
        {"5;a\rb\r\n", Reject::ChunkSize},
        {"5;a=\"\n\"\r\n", Reject::BareLineFeed},
        {"5;\x01\r\n", Reject::ChunkExtension},
        {"5;\0\r\n"s, Reject::ChunkExtension},
        {"1\r\nab\r\n", Reject::ChunkEnd},
        {"1\r\na\n", Reject::BareLineFeed},
        {"1\r\na\rX", Reject::ChunkEnd},
        {"1\r\na\r\n\r\n", Reject::ChunkSize},
        {"1\r\na0\r\n\r\n", Reject::ChunkEnd},
        {"0\r\n\n", Reject::BareLineFeed},
        {"0\r\n\rX", Reject::ChunkEnd},
        {"0\r\n X: a\r\n\r\n", Reject::ObsFold},
        {"0\r\nX: a\r\n\tb\r\n\r\n", Reject::ObsFold},
        {"0\r\nX : a\r\n\r\n", Reject::SpaceBeforeColon},
        {"0\r\n: a\r\n\r\n", Reject::HeaderName},
        {"0\r\n\0: a\r\n\r\n"s, Reject::HeaderName},
        {"0\r\nX\r\n\r\n", Reject::HeaderName},
        {"0\r\nGET / HTTP/1.1\r\n\r\n", Reject::SpaceBeforeColon},
        {"0\r\nX\n: a\r\n\r\n", Reject::BareLineFeed},
        {"0\r\nX: a\n\r\n", Reject::BareLineFeed},
        {"0\r\nX: a\rb\r\n\r\n", Reject::HeaderValue},
        {"0\r\nX: a\0b\r\n\r\n"s, Reject::HeaderValue},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.text);
        for (const std::size_t piece : {row.text.size(), std::size_t{1}})
            EXPECT_EQ(reason(decode(row.text, piece).reject), reason(row.reject));
    }
}

TEST(Http1Chunked, EveryByteBehindASizeIsJudged)
{
    for (int value = 0; value < 256; ++value) {
        SCOPED_TRACE(value);
        const char c = static_cast<char>(value);
        const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        const bool is_text = c == '\t' || (value >= 0x20 && value != 0x7f);
        EXPECT_EQ(decode("1" + std::string(1, c)).status == Status::Incomplete, is_hex || c == ';' || c == '\r');
        EXPECT_EQ(decode("1;" + std::string(1, c)).status == Status::Incomplete, is_text || c == '\r');
        EXPECT_EQ(decode("0\r\nX:" + std::string(1, c)).status == Status::Incomplete, is_text || c == '\r');
    }
}

TEST(Http1Chunked, SizesAreBoundedExactly)
{
    EXPECT_EQ(decode("fffffffffffffff\r\n").status, Status::Incomplete);  // 2^60 - 1
    EXPECT_EQ(decode("0fffffffffffffff\r\n").status, Status::Incomplete);
    EXPECT_EQ(decode("1000000000000000\r\n").reject, Reject::ChunkSize);
    EXPECT_EQ(decode("ffffffffffffffff\r\n").reject, Reject::ChunkSize);
    EXPECT_EQ(decode(std::string(16, '0') + "\r\n\r\n").status, Status::Complete);
    EXPECT_EQ(decode(std::string(17, '0') + "\r\n\r\n").reject, Reject::ChunkSize);
}

TEST(Http1Chunked, ExtensionsAreBoundedByTheDataTheyComeWith)
{
    const auto extended = [](std::size_t bytes) { return "1;" + std::string(bytes, 'x') + "\r\na\r\n"; };
    EXPECT_EQ(decode(extended(kChunkOverheadMax) + "0\r\n\r\n").status, Status::Complete);
    EXPECT_EQ(decode(extended(kChunkOverheadMax + 1)).reject, Reject::ChunkExtension);
    // Spread over many small chunks the sum counts; over large ones it does not.
    std::string many;
    for (std::size_t i = 0; i < 2 * kChunkOverheadMax / 64; ++i)
        many += extended(64);
    EXPECT_EQ(decode(many).reject, Reject::ChunkExtension);
    std::string large;
    for (std::size_t i = 0; i < 2 * kChunkOverheadMax / 64; ++i)
        large += "100;" + std::string(64, 'x') + "\r\n" + std::string(256, 'a') + "\r\n";
    EXPECT_EQ(decode(large + "0\r\n\r\n").status, Status::Complete);
}

TEST(Http1Chunked, TrailersAreBoundedExactly)
{
    const auto trailers = [](std::size_t bytes) {  // of the whole section, up to the CR of its last line
        return "0\r\nX:" + std::string(bytes - 5, 'x') + "\r\n\r\n";
    };
    EXPECT_EQ(decode(trailers(kChunkOverheadMax)).status, Status::Complete);
    EXPECT_EQ(decode(trailers(kChunkOverheadMax + 1)).reject, Reject::TrailerTooLarge);
    // Extensions before them do not count against them.
    const std::string extended = "0;" + std::string(kChunkOverheadMax - 1, 'x');
    EXPECT_EQ(decode(extended + trailers(kChunkOverheadMax).substr(1)).status, Status::Complete);
    std::string many = "0\r\n";
    while (many.size() < 2 * kChunkOverheadMax)
        many += "X:\r\n";
    EXPECT_EQ(decode(many).reject, Reject::TrailerTooLarge);
}

TEST(Http1Chunked, ARefusalIsFinalUntilReset)
{
    ChunkedDecoder decoder;
    EXPECT_EQ(decoder.next("x").status, Status::Invalid);
    const auto again = decoder.next("0\r\n\r\n");
    EXPECT_EQ(again.status, Status::Invalid);
    EXPECT_EQ(again.reject, Reject::ChunkSize);
    EXPECT_EQ(again.consumed, 0U);
    decoder.reset();
    EXPECT_EQ(decoder.next("0\r\n\r\n").status, Status::Complete);
    EXPECT_EQ(decoder.next("more").consumed, 0U);
}

}  // namespace
}  // namespace sluice::proxy::http1
