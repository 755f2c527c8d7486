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

TEST(Words, ACopyInLowerCaseIsAsLongAsItsSourceAndNoLonger)
{
    const std::string text = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const std::string lower = "abcdefghijklmnopqrstuvwxyz";
    for (std::size_t size = 0; size <= text.size(); ++size) {
        std::string copy(text.size(), '!');
        copy_to_lower(copy.data(), text.data(), size);
        EXPECT_EQ(copy, lower.substr(0, size) + std::string(text.size() - size, '!'));
    }
    copy_to_lower(nullptr, nullptr, 0);
}

TEST(Words, TextsAreToldApartAtEveryByte)
{
    const std::string text = "HTTP/1.1 ab";
    EXPECT_TRUE(is_text(text, "HTTP/1.1 ab"));
    EXPECT_TRUE(has_prefix(text, "HTTP/1.1 "));
    EXPECT_FALSE(has_prefix(text.substr(0, 8), "HTTP/1.1 "));
    EXPECT_FALSE(is_text(text, "HTTP/1.1 a"));
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::string other = text;
        other[at] ^= 0x20;
        EXPECT_FALSE(is_text(other, "HTTP/1.1 ab")) << at;
        EXPECT_EQ(has_prefix(other, "HTTP/1.1 "), at >= 9) << at;
    }
}

}  // namespace
}  // namespace sluice::proxy::http1
