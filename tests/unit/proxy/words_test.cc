// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "agent/proxy/http1_grammar.h"

namespace sluice::proxy::http1 {
namespace {

TEST(Words, LowerCaseIsThatOfEachByteWhateverTheLength)
{
    std::string all;
    for (int i = 0; i < 256; ++i)
        all += static_cast<char>(i);
    for (std::size_t begin = 0; begin < all.size(); ++begin) {
        for (std::size_t size = 0; size <= std::min<std::size_t>(20, all.size() - begin); ++size) {
            std::string text = all.substr(begin, size) + "TAIL";
            std::string wanted = text;
            std::transform(wanted.begin(), wanted.end() - 4, wanted.begin(), to_lower);
            make_lower(text.data(), size);
            ASSERT_EQ(text, wanted) << "from " << begin << ", " << size << " bytes";
        }
    }
}

}  // namespace
}  // namespace sluice::proxy::http1
