// SPDX-License-Identifier: Apache-2.0
// Where RequestRedirect sends a client (HTTPRequestRedirectFilter of the Gateway API).
#include <gtest/gtest.h>

#include "agent/proxy/forwarded_head.h"

namespace sluice::proxy {
namespace {

struct Row {
    const char* claim;
    model::Redirect redirect;
    std::uint16_t port;
    bool tls;
    const char* authority;
    const char* path;
    const char* query;
    const char* prefix;
    const char* wanted;
};

const Row kRows[] = {
    {"host", {.hostname = "b.example"}, 80, false, "a.example", "/x", "", "/", "http://b.example/x"},
    {"the listener's port stays",
     {.hostname = "b.example"},
     8080,
     false,
     "a.example:9",
     "/x",
     "",
     "/",
     "http://b.example:8080/x"},
    {"a scheme has its own port",
     {.scheme = "https"},
     8080,
     false,
     "a.example:8080",
     "/x",
     "",
     "/",
     "https://a.example/x"},
    {"scheme and port",
     {.scheme = "https", .port = 8443},
     80,
     false,
     "a.example",
     "/x",
     "",
     "/",
     "https://a.example:8443/x"},
    {"a port that is the scheme's is left out",
     {.scheme = "http", .port = 80},
     443,
     true,
     "a.example",
     "/x",
     "",
     "/",
     "http://a.example/x"},
    {"the query stays", {.port = 8080}, 80, false, "a.example", "/x", "q=1", "/", "http://a.example:8080/x?q=1"},
    {"whole path", {.full_path = "/new"}, 80, false, "a.example", "/x/y", "q", "/x", "http://a.example/new?q"},
    {"prefix", {.prefix = "/new/"}, 80, false, "a.example", "/x/y", "", "/x/", "http://a.example/new/y"},
    {"prefix, a slash behind it", {.prefix = "/new"}, 80, false, "a.example", "/x/", "", "/x", "http://a.example/new/"},
    {"prefix, nothing behind it", {.prefix = "/new"}, 80, false, "a.example", "/x", "", "/x", "http://a.example/new"},
    {"prefix to the root", {.prefix = "/"}, 80, false, "a.example", "/x", "", "/x", "http://a.example/"},
    {"prefix to the root, a slash behind it",
     {.prefix = "/"},
     80,
     false,
     "a.example",
     "/x/",
     "",
     "/x",
     "http://a.example/"},
    {"prefix to the root, more behind it",
     {.prefix = "/"},
     80,
     false,
     "a.example",
     "/x/y",
     "",
     "/x",
     "http://a.example/y"},
    {"prefix of the root", {.prefix = "/new"}, 80, false, "a.example", "/x", "", "/", "http://a.example/new/x"},
    {"IPv6", {.port = 81}, 80, false, "[2001:db8::1]:80", "/", "", "/", "http://[2001:db8::1]:81/"},
    {"no authority", {.port = 81}, 80, false, "", "/", "", "/", "http://192.0.2.1:81/"},
};

TEST(Redirect, KeepsWhatTheFilterDoesNotSay)
{
    for (const auto& row : kRows) {
        http1::RequestHead head;
        head.authority = row.authority;
        head.query = row.query;
        Arrival from;
        from.local = {*IpAddress::parse("192.0.2.1"), row.port};
        from.tls = row.tls;
        EXPECT_EQ(redirect_location(row.redirect, head, row.path, {model::PathMatchType::PathPrefix, row.prefix}, from),
                  row.wanted)
            << row.claim;
    }
}

}  // namespace
}  // namespace sluice::proxy
