// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "agent/proxy/http1_grammar.h"

namespace sluice::proxy::http1 {
namespace {

TEST(Words, LowerCaseIsThatOfEachByteInEveryPlace)
{
    std::string all;
    for (int i = 0; i < 256; ++i)
        all += static_cast<char>(i);
    for (std::size_t begin = 0; begin + kWordBytes <= all.size(); ++begin) {
        std::string wanted = all.substr(begin, kWordBytes);
        std::ranges::transform(wanted, wanted.begin(), to_lower);
        ASSERT_EQ(to_lower_word(load_word(all.data() + begin)), load_word(wanted.data())) << "from " << begin;
    }
}

}  // namespace
}  // namespace sluice::proxy::http1
