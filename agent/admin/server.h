// SPDX-License-Identifier: Apache-2.0
// The admin endpoint: GET /status (JSON), /metrics (Prometheus), /healthz and /readyz, over a unix socket or TCP, and
// the client that `sluice status` is. Read-only. Owns one thread, which serves all connections; the report is made by
// a callback that must be safe to call from it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/admin/report.h"
#include "base/result.h"

namespace sluice::admin {

constexpr const char* kDefaultAddress = "unix:/run/sluice/admin.sock";

class Server {
public:
    // `address`: "unix:PATH" (mode 0600, its folder is made) or "ADDR:PORT". Errors: EADDRINUSE when another agent
    // answers there; EINVAL for a malformed address.
    [[nodiscard]] static Result<std::unique_ptr<Server>> make(const std::string& address,
                                                              std::function<Report()> report);
    ~Server();  // stops answering, removes the socket
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    struct State;  // the implementation's

private:
    explicit Server(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// GET `path` of the agent at `address`; the body of a 2xx answer.
[[nodiscard]] Result<std::string> fetch(const std::string& address, const std::string& path);

}  // namespace sluice::admin
