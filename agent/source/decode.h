// SPDX-License-Identifier: Apache-2.0
// One decoder for YAML and JSON manifests (JSON is read as YAML's flow style): text -> model values and problems.
// The input is hostile: bounded depth, no recursion without a limit, no alias expansion bombs, valid UTF-8 only.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/model/objects.h"
#include "agent/source/files.h"

namespace sluice::source {

using AnyObject = std::variant<model::GatewayClass, model::Gateway, model::HttpRoute, model::GrpcRoute, model::TlsRoute,
                               model::TcpRoute, model::UdpRoute, model::BackendTlsPolicy, model::ReferenceGrant,
                               model::Namespace, model::Service, model::EndpointSlice, model::Secret, model::ConfigMap,
                               model::NodeGatewayConfig, model::Node>;

struct DecodedObject {
    AnyObject object;
    model::ObjectKey key;
    int line = 0;
    std::string spec;  // canonical text of everything but metadata and status: equal text, equal generation
};

// An object that was refused, but whose identity could be read: its last good version goes on serving.
struct RefusedObject {
    model::ObjectKey key;
    int line = 0;
};

struct Decoded {
    std::vector<DecodedObject> objects;
    std::vector<RefusedObject> refused;
    std::vector<Problem> problems;
    bool complete = true;  // false: something in the file could not be read as far as its name
};

constexpr std::size_t kManifestDocumentsMax = 10'000;  // in one file
constexpr std::size_t kManifestFileProblemsMax = 200;  // in one file; the rest of it is not read then

// `file` is only used in the problems. kind: List is unpacked.
[[nodiscard]] Decoded decode(std::string_view text, const std::string& file);

}  // namespace sluice::source
