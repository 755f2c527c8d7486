// SPDX-License-Identifier: Apache-2.0
// Compiled request routing for one HttpPort: host by hash, wildcards by suffix, then a path structure whose leaves are
// in Gateway API precedence already (plan sorted them). Immutable; shared by the workers; costs no allocation a
// request.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "agent/plan/plan.h"
#include "agent/proxy/http1.h"
#include "base/canonical_path.h"

namespace sluice::proxy {

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
