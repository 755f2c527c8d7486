// SPDX-License-Identifier: Apache-2.0
// HTTP to the API server, by libcurl. An ApiClient makes one call after the other over a connection that it keeps; it
// is one thread's. An ApiLoop keeps many requests under way at once and calls back on the thread that runs it.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "agent/source/kube/kube_config.h"
#include "base/result.h"

namespace sluice::source {

constexpr std::size_t kResponseBytesMax = 64U << 20;

struct ApiRequest {
    std::string method = "GET";
    std::string path;  // "/apis/…", with the query
    std::string body;
    const char* content_type = "application/json";
    std::chrono::milliseconds timeout{30'000};
    std::chrono::seconds silence_max{0};  // ended with an error when nothing arrives for so long; 0: no limit
};

struct ApiResponse {
    int status = 0;  // of HTTP
    std::string body;
    std::chrono::seconds retry_after{0};  // as the server asks; 0: it does not
};

class ApiClient {
public:
    explicit ApiClient(std::shared_ptr<const KubeConfig> config);
    ~ApiClient();
    ApiClient(const ApiClient&) = delete;
    ApiClient& operator=(const ApiClient&) = delete;

    // Errors: there was no HTTP answer (the server is away, its certificate is wrong, the time is over, `stop`).
    [[nodiscard]] Result<ApiResponse> call(const ApiRequest& request, const std::stop_token& stop = {});

private:
    std::shared_ptr<const KubeConfig> config_;
    void* handle_;  // CURL
    void* multi_;   // CURLM
};

class ApiLoop {
public:
    using Id = std::uint64_t;  // of a request or a timer; 0 is none
    struct Handlers {
        // A piece of the body of a 200; false ends the request, with an error.
        std::function<bool(std::string_view)> on_data;
        // The end. The body is that of any other status.
        std::function<void(Result<ApiResponse>)> on_done;
    };
    explicit ApiLoop(std::shared_ptr<const KubeConfig> config);
    ~ApiLoop();  // nobody is called any more
    ApiLoop(const ApiLoop&) = delete;
    ApiLoop& operator=(const ApiLoop&) = delete;

    // Until `stop`, which is acted on at once.
    void run(const std::stop_token& stop);
    // For the running thread, also in callbacks:
    Id start(const ApiRequest& request, Handlers handlers);
    Id after(std::chrono::milliseconds delay, std::function<void()> task);
    void cancel(Id id);  // of either kind; then it is not called any more

private:
    struct Transfer;
    [[nodiscard]] std::chrono::milliseconds until_next_timer() const;
    void run_timers();
    void finish_done();

    std::shared_ptr<const KubeConfig> config_;
    void* multi_;  // CURLM
    std::map<Id, std::unique_ptr<Transfer>> transfers_;
    std::multimap<std::chrono::steady_clock::time_point, std::pair<Id, std::function<void()>>> timers_;
    Id next_id_ = 1;
};

}  // namespace sluice::source
