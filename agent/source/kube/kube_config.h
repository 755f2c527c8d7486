// SPDX-License-Identifier: Apache-2.0
// Where the API server is and who we are to it: out of a kubeconfig file, or what a pod finds in itself.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::source {

// A token that may change while we run: read again from its file, or asked again of its program. For any thread.
class KubeToken {
public:
    struct Exec {
        std::string api_version;
        std::vector<std::string> command;            // with arguments
        std::vector<std::string> environment;        // "NAME=VALUE", added to ours
        std::chrono::milliseconds patience{15'000};  // then it is killed
    };
    static std::shared_ptr<KubeToken> fixed(std::string token);
    static std::shared_ptr<KubeToken> of_file(std::string path);
    static std::shared_ptr<KubeToken> of_program(Exec exec);

    // Errors: the file cannot be read, the program fails, does not end or says no token.
    [[nodiscard]] Result<std::string> get();
    // The server did not accept it: the next get() asks for another one, at most once in ten seconds. Never waits.
    void refused();

private:
    [[nodiscard]] Result<void> renew();

    std::mutex mutex_;
    std::string file_;
    std::optional<Exec> exec_;
    std::string token_;
    std::chrono::steady_clock::time_point valid_until_ = std::chrono::steady_clock::time_point::max();
    std::atomic<bool> refused_ = false;  // since the last get()
    std::chrono::steady_clock::time_point refusals_count_from_;
};

struct KubeConfig {
    std::string server;       // "https://host:port", no slash at the end
    std::string server_name;  // that its certificate must have; empty: the host of `server`
    // Files; data out of the kubeconfig is held in memory and named as /proc/self/fd/N.
    std::string ca_file;
    std::string certificate_file;
    std::string key_file;
    bool verifies_server = true;
    std::shared_ptr<KubeToken> token;  // null: none
    std::string ns;                    // of the context or the pod; may be empty
    std::vector<UniqueFd> held;        // what the files in memory live by

    // Errors name the file and the field at fault.
    [[nodiscard]] static Result<KubeConfig> load(const std::string& path);
    // KUBERNETES_SERVICE_HOST and _PORT, and the service account's folder.
    [[nodiscard]] static Result<KubeConfig> in_cluster();
};

}  // namespace sluice::source
