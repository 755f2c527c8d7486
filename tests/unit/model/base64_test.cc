// SPDX-License-Identifier: Apache-2.0
#include "agent/model/base64.h"

#include <gtest/gtest.h>

namespace sluice::model {
namespace {

TEST(Base64, WhatRfc4648ShowsIsDecoded)
{
    struct Row {
        const char* text;
        const char* bytes;
    };
    for (const Row& row : {Row{"", ""}, Row{"Zg==", "f"}, Row{"Zm8=", "fo"}, Row{"Zm9v", "foo"},
                           Row{"Zm9vYg==", "foob"}, Row{"Zm9vYmE=", "fooba"}, Row{"Zm9vYmFy", "foobar"},
                           Row{" Zm9v\r\nYmFy\n", "foobar"}, Row{"+/+/", "\xfb\xff\xbf"}})
        EXPECT_EQ(decode_base64(row.text), row.bytes) << row.text;
}

TEST(Base64, WhatIsNotItIsRefused)
{
    for (const char* text : {"Z", "Zg", "Zg=", "Zm8", "Zm9v=", "Zm9v====", "=", "====", "Zg==Zg==", "Zm9v!", "Zm-_",
                             "Z=g=", "\xc3\xa9==", "Zg==="})
        EXPECT_EQ(decode_base64(text), std::nullopt) << text;
}

}  // namespace
}  // namespace sluice::model
