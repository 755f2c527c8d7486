// SPDX-License-Identifier: Apache-2.0
#include "agent/source/validate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::source {
namespace {

struct Row {
    const char* name;
    Check check;
    std::vector<std::string> good;
    std::vector<std::string> bad;
};

std::string repeat(const std::string& text, std::size_t times)
{
    std::string result;
    for (std::size_t i = 0; i < times; ++i)
        result += text;
    return result;
}

TEST(Validate, StringsAreCheckedAsTheApiSays)
{
    const std::string label63 = repeat("a", 63);
    const std::string domain253 = repeat("abcdefg.", 31) + "abcde";
    const Row rows[] = {
        {"label", dns_label, {"a", "1", "a-b", label63}, {"", "-a", "a-", "A", "a.b", "a_b", label63 + "a"}},
        {"subdomain", dns_subdomain, {"a", "a.b", domain253}, {"", ".", "a.", "a..b", "A.b", "*.a", domain253 + "a"}},
        {"group", group_name, {"", "a.b"}, {"a.b/v1", "A"}},
        {"kind", kind_name, {"Service", "a-1"}, {"", "1a", "a.b", "-a", label63 + "a"}},
        {"hostname",
         hostname,
         {"a", "*.a.b", "1.a"},
         {"", "*", "*.", "**.a", "a.*", "a.b.", "::1", "192.0.2.1", "A.b"}},
        {"protocol", listener_protocol, {"HTTP", "example.com/Bar1"}, {"", "/a", "a/", "A.b/c", "a/b/c", "a b"}},
        {"controller", controller_name, {"a.b/c", "a/b/c"}, {"", "a", "a/", "/a", "A/b", "a/b c"}},
        {"time",
         timestamp,
         {"2026-01-31T12:00:00Z"},
         {"", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31T12:00:00+01"}},
        {"path",
         plain_path,
         {"/", "/a", "/a/", "/%41", "/a..b", "/..a", "/" + repeat("a", 1023)},
         {"", "a", "//", "/a//b", "/./a", "/../a", "/a/..", "/a/.", "/%2f", "/a%2F", "/#", "/?", "/ ", "/%4", "/%zz",
          "/\xc3\xa9", "/" + repeat("a", 1024)}},
        {"header", header_name, {"a", "X-A_1!"}, {"", "a b", "a:", "\xc3\xa9", "(a)", repeat("a", 257)}},
        {"prefix", path_prefix, {"", "/", "/a/", "/a/%41"}, {"a", "//\r\n", "/a b", "/?", "/" + repeat("a", 1024)}},
        {"value of a field",
         field_value,
         {"a", "a b", "a\tb", "\xc3\xa9", repeat("a", 4096)},
         {"", "a\r\nb: c", "a\nb", "a\rb", "\x01", "\x7f", std::string("a\0b", 3), repeat("a", 4097)}},
        {"duration",
         duration,
         {"0s", "1h", "99999h99999m99999s99999ms", "1m30s", "500ms"},
         {"", "0", "1", "s", "1.5s", "-1s", "100000s", "1h1h1h1h1h", "1d", "1 s", "1us"}},
        {"gRPC service",
         grpc_service,
         {"a", ".a", "a.B_1", "_"},
         {"", ".", "a.", "..a", "a..b", "1a", "a.1", "a/b", "a-b", repeat("a", 1025)}},
        {"gRPC method", grpc_method, {"a", "Say_1", "_"}, {"", "1a", "a.b", "a/b", "a-b", repeat("a", 1025)}},
        {"URI",
         absolute_uri,
         {"spiffe://a/b", "http://a"},
         {"", "a", "a:b", "/a://b", "://a", "?a://b", "a://" + repeat("a", 250)}},
        {"CA set",
         well_known_ca,
         {"System", "a.b/c", "a/C_1.d"},
         {"", "system", "a", "a/", "/a", "A/b", "a/-b", "a/b c"}},
        {"endpoint",
         endpoint_address,
         {"192.0.2.1", "2001:db8::1"},
         {"", "a", "127.0.0.1", "::1", "fe80::1", "::", "224.0.0.1"}},
    };
    for (const Row& row : rows) {
        for (const std::string& text : row.good)
            EXPECT_EQ(row.check(text), std::nullopt) << row.name << " " << text;
        for (const std::string& text : row.bad)
            EXPECT_TRUE(row.check(text).has_value()) << row.name << " " << text;
    }
}

TEST(Validate, DurationsAddUpAndSaturate)
{
    EXPECT_EQ(duration_ms("0s"), 0U);
    EXPECT_EQ(duration_ms("1h2m3s4ms"), 3'723'004U);
    EXPECT_EQ(duration_ms("1ms1ms"), 2U);
    EXPECT_EQ(duration_ms("99999h"), 0xffffffffU);
}

}  // namespace
}  // namespace sluice::source
