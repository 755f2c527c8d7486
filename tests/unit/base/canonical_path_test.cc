// SPDX-License-Identifier: Apache-2.0
// The canonical path: what it makes of every spelling, and which spellings it refuses.
#include "base/canonical_path.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice {
namespace {

std::string canonical(std::string_view raw)
{
    std::string buffer(raw.size(), '?');
    const auto path = canonical_path(raw, buffer);
    return path ? std::string(*path) : "refused";
}

TEST(CanonicalPath, EverySpellingHasOneForm)
{
    const struct {
        const char* raw;
        const char* canonical;
    } rows[] = {
        {"/a/b", "/a/b"},
        {"/", "/"},
        {"*", "*"},
        {"//", "/"},
        {"///a////b//", "/a/b/"},
        {"/.", "/"},
        {"/./", "/"},
        {"/a/.", "/a/"},
        {"/a/./b", "/a/b"},
        {"/a/..", "/"},
        {"/a/../", "/"},
        {"/a/b/..", "/a/"},
        {"/a/b/../c", "/a/c"},
        {"/a/b/../../c", "/c"},
        {"/a//../b", "/b"},
        {"/a/%2e%2E/b", "/b"},
        {"/a/.%2e/b", "/b"},
        {"/a/%2e/b", "/a/b"},
        {"/a%2eb", "/a.b"},
        {"/...", "/..."},
        {"/.a/..b/c.", "/.a/..b/c."},
        {"/%41%7a%30%2d%5f%7E", "/Az0-_~"},
        {"/%c3%a4", "/%C3%A4"},
        {"/%C3%A4", "/%C3%A4"},
        {"/%20%3f%23%25%0a", "/%20%3F%23%25%0A"},
        {"/%252f", "/%252f"},
        {"/a;b=c/d", "/a;b=c/d"},
        {"/a/b%41/../c", "/a/c"},
        {"/~!$&'()*+,;=:@", "/~!$&'()*+,;=:@"},
    };
    for (const auto& row : rows) {
        EXPECT_EQ(canonical(row.raw), row.canonical) << row.raw;
        EXPECT_EQ(canonical(row.canonical), row.canonical) << "again, of " << row.raw;
    }
}

TEST(CanonicalPath, WhatBackendsReadInTwoWaysIsRefused)
{
    for (const char* raw :
         {"",         "a",       "a/b",        "**",         "/..",       "/../",     "/a/../..", "/./..",
          "//..",     "/%2e%2e", "/a/../../b", "/%2f",       "/a%2Fb",    "/%5c",     "/a%5Cb",   "/a\\b",
          "/\\",      "/%00",    "/a%00b",     "/%",         "/%4",       "/%zz",     "/%4g",     "/a%",
          "/a%2",     "/#",      "/a#b",       "/a?b",       "/a b",      "/\t",      "/\x7f",    "/\xc3\xa4",
          "/a/..;/b", "/..;",    "/a/.;x/b",   "/a/%2e.;/b", "/A%41/a\\", "/A%41/%2f"})
        EXPECT_EQ(canonical(raw), "refused") << raw;
    EXPECT_FALSE(canonical_path(std::string_view("/a\0b", 4), {}));
    EXPECT_FALSE(canonical_path(std::string_view("/%41\0", 5), {}));
}

TEST(CanonicalPath, ACanonicalPathIsNotCopied)
{
    for (const std::string_view raw : {"/", "/a/b", "/.well-known/x", "/%C3%A4/%20", "/a/...", "*"}) {
        const auto path = canonical_path(raw, {});  // no room: it must not be needed
        ASSERT_TRUE(path) << raw;
        EXPECT_EQ(path->data(), raw.data());
        EXPECT_EQ(path->size(), raw.size());
    }
}

// All of a few characters that matter: what is plain is found so without a look at its segments, and must be right.
TEST(CanonicalPath, NoShortPathKeepsADotSegmentOrAnEmptyOne)
{
    const std::string_view set = "/.a%;~";
    for (std::size_t i = 0; i < 6 * 6 * 6 * 6 * 6; ++i) {
        std::string raw = "/";
        for (std::size_t rest = i, at = 0; at < 5; ++at, rest /= set.size())
            raw += set[rest % set.size()];
        std::string buffer(raw.size(), '?');
        const auto path = canonical_path(raw, buffer);
        if (!path)
            continue;
        const std::string text(*path);
        for (const char* bad : {"//", "/./", "/../", "/.;", "/..;"})
            EXPECT_EQ((text + "/").find(bad),
                      text.ends_with('/') && bad == std::string_view("//") ? text.size() - 1 : std::string::npos)
                << raw << " is " << text;
        EXPECT_EQ(canonical_path(text, {}), text) << raw;
    }
}

TEST(CanonicalPath, WithoutRoomItIsRefused)
{
    std::string buffer(4, '?');
    EXPECT_FALSE(canonical_path("/a//b", buffer));
    buffer.resize(5);
    EXPECT_EQ(canonical_path("/a//b", buffer), "/a/b");
}

TEST(CanonicalPath, EveryEscapeIsDecodedKeptOrRefused)
{
    constexpr std::string_view kHex = "0123456789ABCDEF";
    const std::string unreserved = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~";
    for (std::size_t value = 0; value < 256; ++value) {
        const char c = static_cast<char>(value);
        const std::string escape = {'%', kHex[value / 16], kHex[value % 16]};
        const bool is_refused = value == 0 || c == '/' || c == '\\';
        const std::string expected = is_refused                                ? "refused"
                                     : unreserved.find(c) != std::string::npos ? "/x" + std::string(1, c)
                                                                               : "/x" + escape;
        EXPECT_EQ(canonical("/x" + escape), expected);
        // The same byte raw: kept or refused, never rewritten.
        const bool is_raw_path = value > 0x20 && value < 0x7f && c != '\\' && c != '#' && c != '?' && c != '%';
        EXPECT_EQ(canonical("/x" + std::string(1, c) + "y"), is_raw_path ? "/x" + std::string(1, c) + "y" : "refused");
    }
}

}  // namespace
}  // namespace sluice
