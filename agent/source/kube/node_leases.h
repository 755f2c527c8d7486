// SPDX-License-Identifier: Apache-2.0
// The Leases that stand for the nodes, as the API server has them.
#pragma once

#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>

#include "agent/source/kube/api_client.h"

namespace sluice::source {

enum class NodeLease {
    Alive,   // sluice-node-<node>, renewed
    Served,  // sluice-served-<node>, with what that node serves in an annotation
};
constexpr const char* kServedAnnotation = "sluice.dev/served";

class NodeLeases {
public:
    enum class Written { Failed, Renewed, Made };

    explicit NodeLeases(std::string ns);
    // All of one kind, an array. Errors: the API server does not answer, or with no list.
    [[nodiscard]] Result<nlohmann::json> list(ApiClient& client, NodeLease kind, const std::stop_token& stop) const;
    // `changes`: parts of `metadata` and `spec`. Makes it where there is none.
    [[nodiscard]] Written write(ApiClient& client, NodeLease kind, const std::string& node, nlohmann::json changes,
                                const std::stop_token& stop) const;
    // With a `version`, only if it still has that one. True: it was there. Waits at most a second.
    [[nodiscard]] bool remove(ApiClient& client, NodeLease kind, const std::string& node,
                              const std::string& version = "", const std::stop_token& stop = {}) const;

private:
    std::string ns_;
    std::string path_;
};

}  // namespace sluice::source
