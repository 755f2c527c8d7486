// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/node_leases.h"

#include <utility>

#include "agent/source/kube/json_parts.h"

namespace sluice::source {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kCallTime(2'000);
constexpr milliseconds kRemoveTime(1'000);

std::string label_of(NodeLease kind) { return kind == NodeLease::Alive ? "node" : "served"; }
std::string name_of(NodeLease kind, const std::string& node) { return "sluice-" + label_of(kind) + "-" + node; }

}  // namespace

NodeLeases::NodeLeases(std::string ns)
    : ns_(std::move(ns)), path_("/apis/coordination.k8s.io/v1/namespaces/" + ns_ + "/leases")
{
}

Result<json> NodeLeases::list(ApiClient& client, NodeLease kind, const std::stop_token& stop) const
{
    // From the API server's memory, for every node asks every second.
    const auto answer = client.call(
        {.path = path_ + "?resourceVersion=0&labelSelector=app.kubernetes.io%2Fname%3Dsluice%2Csluice.dev%2F" +
                 label_of(kind),
         .timeout = kCallTime},
        stop);
    if (!answer)
        return std::unexpected(answer.error());
    json items = part(json::parse(answer->body, nullptr, false), "items");
    if (answer->status != 200 || !items.is_array())
        return fail(0, "Leases", "the API server answers " + std::to_string(answer->status));
    return items;
}

NodeLeases::Written NodeLeases::write(ApiClient& client, NodeLease kind, const std::string& node, json changes,
                                      const std::stop_token& stop) const
{
    changes["spec"]["holderIdentity"] = node;
    const std::string name = name_of(kind, node);
    // Not by resourceVersion: nobody else writes it but, for a moment, the agent of this node that we succeed.
    const auto written = client.call({.method = "PATCH",
                                      .path = path_ + "/" + name,
                                      .body = changes.dump(),
                                      .content_type = "application/merge-patch+json",
                                      .timeout = kCallTime},
                                     stop);
    if (written && written->status == 200)
        return Written::Renewed;
    if (!written || written->status != 404)
        return Written::Failed;
    changes["apiVersion"] = "coordination.k8s.io/v1";
    changes["kind"] = "Lease";
    changes["metadata"]["name"] = name;
    changes["metadata"]["namespace"] = ns_;
    changes["metadata"]["labels"] = {{"app.kubernetes.io/name", "sluice"}, {"sluice.dev/" + label_of(kind), node}};
    const auto made =
        client.call({.method = "POST", .path = path_, .body = changes.dump(), .timeout = kCallTime}, stop);
    return made && made->status == 201 ? Written::Made : Written::Failed;
}

bool NodeLeases::remove(ApiClient& client, NodeLease kind, const std::string& node, const std::string& version,
                        const std::stop_token& stop) const
{
    const auto answer =
        client.call({.method = "DELETE",
                     .path = path_ + "/" + name_of(kind, node),
                     .body = version.empty() ? "" : json{{"preconditions", {{"resourceVersion", version}}}}.dump(),
                     .timeout = kRemoveTime},
                    stop);
    return answer && answer->status == 200;
}

}  // namespace sluice::source
