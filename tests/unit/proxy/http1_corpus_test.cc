// SPDX-License-Identifier: Apache-2.0
// Replays the fuzzers' corpora: the fuzzers' properties hold, and seeds named "bad-" are refused, "good-" accepted.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/fuzz/http1_request/properties.h"
#include "tests/fuzz/http1_response/properties.h"

namespace sluice::proxy::http1 {
namespace {

// Calls `visit(name, text)` for every file; returns their number.
template <class Visit> std::size_t for_each_seed(const char* folder, const Visit& visit)
{
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        const std::string name = entry.path().filename().string();
        SCOPED_TRACE(name);
        visit(name, text);
        ++count;
    }
    return count;
}

void expect_as_named(const std::string& name, Status status)
{
    EXPECT_TRUE(name.starts_with("good-") || name.starts_with("bad-"));
    EXPECT_EQ(status, name.starts_with("good-") ? Status::Complete : Status::Invalid);
}

// The verdict on a message: that on its head, or on its chunked body where it has one.
Status verdict_on(Status head_status, Framing framing, std::string_view body)
{
    if (head_status != Status::Complete || framing != Framing::Chunked)
        return head_status;
    return fuzz::decode_chunked(body, body.size()).status;
}

TEST(Http1Corpus, EveryRequestIsJudgedAsItsNameSays)
{
    const std::size_t count = for_each_seed("tests/fuzz/http1_request/corpus", [](const auto& name, const auto& text) {
        EXPECT_EQ(fuzz::violated_property(text), nullptr);
        RequestHead head;
        const ParseResult result = parse_request(text, fuzz::kRequestLimits, head);
        expect_as_named(name,
                        verdict_on(result.status, head.framing, std::string_view(text).substr(result.head_bytes)));
    });
    EXPECT_GE(count, 40U);
}

TEST(Http1Corpus, EveryResponseIsJudgedAsItsNameSays)
{
    const std::size_t count = for_each_seed("tests/fuzz/http1_response/corpus", [](const auto& name, const auto& text) {
        EXPECT_EQ(fuzz::violated_property_of_response(text, "GET"), nullptr);
        EXPECT_EQ(fuzz::violated_property_of_response(text, "HEAD"), nullptr);
        ResponseHead head;
        const ParseResult result = parse_response(text, fuzz::kResponseLimits, "GET", head);
        expect_as_named(name,
                        verdict_on(result.status, head.framing, std::string_view(text).substr(result.head_bytes)));
    });
    EXPECT_GE(count, 20U);
}

}  // namespace
}  // namespace sluice::proxy::http1
