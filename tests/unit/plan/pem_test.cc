// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/pem.h"

#include <gtest/gtest.h>

#include "tests/unit/plan/builders.h"

namespace sluice::plan {
namespace {

using test::pem;
using test::pem_of_size;

struct Row {
    const char* claim;
    std::string text;
    bool good;
};

TEST(Pem, AChainIsCertificatesAndNothingElse)
{
    const std::string one = pem("CERTIFICATE");
    const Row rows[] = {
        {"one", one, true},
        {"two", one + one, true},
        {"text around them", "subject: x\n" + one + "\n\n" + one + "end", true},
        {"Windows line ends", "-----BEGIN CERTIFICATE-----\r\nTUlJQg==\r\n-----END CERTIFICATE-----\r\n", true},
        {"nothing", "", false},
        {"no block", "Hello world", false},
        {"a key", pem("PRIVATE KEY"), false},
        {"a key behind it", one + pem("PRIVATE KEY"), false},
        {"an empty block", pem("CERTIFICATE", ""), false},
        {"no base64", pem("CERTIFICATE", "TUl!"), false},
        {"another END", "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END PRIVATE KEY-----\n", false},
        {"no END", "-----BEGIN CERTIFICATE-----\nTUlJQg==\n", false},
        {"a BEGIN that does not end", "-----BEGIN CERTIFICATE\nTUlJQg==\n-----END CERTIFICATE-----\n", false},
        {"a second one cut short", one + one.substr(0, one.size() / 2), false},
        {"as large as may be", pem_of_size("CERTIFICATE", kPemBytesMax), true},
        {"larger", pem_of_size("CERTIFICATE", kPemBytesMax + 1), false},
    };
    for (const Row& row : rows)
        EXPECT_EQ(certificate_fault(row.text).empty(), row.good) << row.claim << ": " << certificate_fault(row.text);
}

TEST(Pem, AKeyIsOneAndNotEncrypted)
{
    const Row rows[] = {
        {"PKCS 8", pem("PRIVATE KEY"), true},
        {"RSA", pem("RSA PRIVATE KEY"), true},
        {"EC", pem("EC PRIVATE KEY"), true},
        {"EC with its parameters", pem("EC PARAMETERS") + pem("EC PRIVATE KEY"), true},
        {"parameters alone", pem("EC PARAMETERS"), false},
        {"two", pem("PRIVATE KEY") + pem("PRIVATE KEY"), false},
        {"encrypted", pem("ENCRYPTED PRIVATE KEY"), false},
        {"a certificate", pem("CERTIFICATE"), false},
        {"nothing", "", false},
        {"as large as may be", pem_of_size("PRIVATE KEY", kPemBytesMax), true},
        {"larger", pem_of_size("PRIVATE KEY", kPemBytesMax + 1), false},
        {"encrypted the old way", pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\n\nTUlJQg=="), false},
    };
    for (const Row& row : rows)
        EXPECT_EQ(key_fault(row.text).empty(), row.good) << row.claim << ": " << key_fault(row.text);
}

}  // namespace
}  // namespace sluice::plan
