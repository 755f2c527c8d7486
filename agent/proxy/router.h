// SPDX-License-Identifier: Apache-2.0
// Compiled request routing for one HttpPort: host by hash, wildcards by suffix, then a path structure whose leaves are
// in Gateway API precedence already (plan sorted them). Immutable; shared by the workers; costs no allocation a
// request.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "agent/plan/plan.h"
#include "agent/proxy/http1.h"

namespace sluice::proxy {

// The one canonical path that all decisions use (docs/limits.md): percent-encoded unreserved characters decoded, the
// other escapes in upper case, slashes merged, dot segments removed. Writes at most `raw.size()` bytes into `out`,
// which must have that room, and returns the written part; equal to `raw` and without a copy for an already canonical
// path. nullopt: refused with 400 (bad escape, %00, encoded slash, backslash raw or encoded, '#', '?', control and
// non-ASCII bytes, ".." above the root, "..;", no slash in front). "*" of an OPTIONS request stays as it is.
[[nodiscard]] std::optional<std::string_view> canonical_path(std::string_view raw, std::span<char> out);

// What a request is matched by. Header names match in any case, values exactly; lines of one name count as one value
// joined by ','. Of a repeated query parameter the first counts; its name and value are compared with %XX decoded,
// '+' stays. A joined or decoded value of more than kMatchValueBytesMax bytes matches no regular expression.
constexpr std::size_t kMatchValueBytesMax = 8 * 1024;

struct RequestView {
    std::string_view method;
    std::string_view authority;  // with or without port; any case; a trailing dot is ignored
    std::string_view path;       // canonical
    std::string_view query;
    std::span<const http1::Header> headers;
};

struct RouteResult {
    const plan::HttpListener* listener = nullptr;  // none: no listener for this host, 404
    const plan::HttpRule* rule = nullptr;          // none: 404
    const model::PathMatch* path = nullptr;        // that led to the rule
};

class Router {
public:
    // Regular expressions that do not compile make their entry never match (plan has refused such routes before).
    // `port` must outlive the router.
    [[nodiscard]] static std::unique_ptr<Router> make(const plan::HttpPort& port);
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;
    [[nodiscard]] RouteResult route(const RequestView& request) const;

private:
    struct State;
    explicit Router(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::proxy
