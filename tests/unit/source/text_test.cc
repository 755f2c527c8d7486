// SPDX-License-Identifier: Apache-2.0
#include "agent/source/text.h"

#include <gtest/gtest.h>

namespace sluice::source {
namespace {

using namespace std::string_view_literals;

TEST(Text, OnlyWellFormedUtf8WithoutControlCharactersPasses)
{
    struct Row {
        std::string_view text;
        int faulty_line;  // 0: none
    };
    const Row rows[] = {
        {"", 0},
        {"a\tb\r\nc", 0},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 0},
        {"\xef\xbb\xbf"
         "a",
         0},
        {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 0},
        {"a\n\xff", 2},
        {"\n\n\x80", 3},
        {"\xc0\xaf", 1},          // overlong
        {"\xe0\x80\xaf", 1},      // overlong
        {"\xf0\x80\x80\xaf", 1},  // overlong
        {"\xed\xa0\x80", 1},      // surrogate
        {"\xf4\x90\x80\x80", 1},  // past U+10FFFF
        {"\xf5\x80\x80\x80", 1},  // past U+10FFFF
        {"\xe2\x82", 1},          // cut short
        {"a\n\0b"sv, 2},
        {"\x04", 1},
        {"\x7f", 1},
    };
    for (const Row& row : rows) {
        const auto fault = find_text_fault(row.text);
        EXPECT_EQ(fault ? fault->line : 0, row.faulty_line) << testing::PrintToString(std::string(row.text));
    }
}

TEST(Text, DocumentsBeginAtSeparatorLinesOnly)
{
    const auto documents =
        split_documents("# head\na: |\n  ---\n --- \n---x: y\n---\n\n---  b\n--- # c\n...\n---\r\nd\n");
    ASSERT_EQ(documents.size(), 3U);
    EXPECT_EQ(documents[0].text, "# head\na: |\n  ---\n --- \n---x: y\n");
    EXPECT_EQ(documents[0].first_line, 1);
    EXPECT_EQ(documents[1].text, "---  b\n");
    EXPECT_EQ(documents[1].first_line, 8);
    EXPECT_EQ(documents[2].first_line, 11);
}

TEST(Text, PrintableIsShortAndOneLine)
{
    EXPECT_EQ(printable("a\nb\x1b[0m"), "a?b?[0m");
    EXPECT_EQ(printable(std::string(1000, 'x')), std::string(77, 'x') + "...");
    EXPECT_EQ(printable(std::string(76, 'x') + "\xc3\xa9rest"), std::string(76, 'x') + "...");
    EXPECT_EQ(printable("\xff!"), "?!");
}

}  // namespace
}  // namespace sluice::source
