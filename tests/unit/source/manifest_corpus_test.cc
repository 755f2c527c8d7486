// SPDX-License-Identifier: Apache-2.0
// Replays the fuzzer's corpus, each file whole and cut short at every byte of its first kilobyte.
#include <gtest/gtest.h>

#include <algorithm>

#include "agent/source/decode.h"
#include "tests/unit/source/folder.h"

namespace sluice::source {
namespace {

constexpr const char* kCorpus = "tests/fuzz/manifest/corpus";

TEST(ManifestCorpus, NoFileAndNoPrefixOfOneIsRefusedInSilence)
{
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
        SCOPED_TRACE(entry.path().string());
        const std::string text = file_text(entry.path());
        ++files;
        const std::size_t shortest = text.size() > 1024 ? text.size() : 0;
        for (std::size_t length = shortest; length <= text.size(); ++length) {
            const Decoded decoded = decode(std::string_view(text).substr(0, length), "corpus.yaml");
            const bool fatal = std::ranges::any_of(decoded.problems, &Problem::fatal);
            EXPECT_EQ(fatal, !decoded.complete || !decoded.refused.empty()) << "cut at byte " << length;
        }
    }
    EXPECT_GT(files, 20U);
}

}  // namespace
}  // namespace sluice::source
