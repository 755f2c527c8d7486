// SPDX-License-Identifier: Apache-2.0
// Replays the corpus of the HTTP/2 fuzzer.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/http2_session/peers.h"

namespace sluice::proxy {
namespace {

TEST(Http2Corpus, WhateverIsSaidTheConnectionEndsAndLeavesNothing)
{
    fuzz::Http2Peers peers;
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("tests/fuzz/http2_session/corpus")) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        EXPECT_EQ(peers.violated_property(text), nullptr) << entry.path();
        ++count;
    }
    EXPECT_GE(count, 40U);
}

}  // namespace
}  // namespace sluice::proxy
