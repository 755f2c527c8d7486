// SPDX-License-Identifier: Apache-2.0
// The admin endpoint: GET /status (JSON), /metrics (Prometheus), /healthz and /readyz, over a unix socket or TCP, and
// the client that `sluice status` and `sluice probe` are. Read-only. Owns one thread, which serves all connections.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/admin/report.h"
#include "base/result.h"

namespace sluice::admin {

constexpr const char* kDefaultAddress = "unix:/run/sluice/admin.sock";

// What is asked; all of it from the server's thread.
struct Answers {
    std::function<Report()> report;
    std::function<bool()> is_ready;
    std::function<bool()> is_alive;  // everything that has a loop has taken a turn since the last question
};

class Server {
public:
    // `address`: "unix:PATH" (mode 0600, its folder is made) or "ADDR:PORT". Errors: EADDRINUSE when another agent
    // answers there; EINVAL for a malformed address.
    [[nodiscard]] static Result<std::unique_ptr<Server>> make(const std::string& address, Answers answers);
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
