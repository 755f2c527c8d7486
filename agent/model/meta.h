// SPDX-License-Identifier: Apache-2.0
// What every Kubernetes object has, and how one object names another.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "agent/model/filter.h"

namespace sluice::model {

using Labels = std::map<std::string, std::string>;

struct ObjectMeta {
    std::string ns;  // empty for cluster-scoped kinds
    std::string name;
    std::string uid;  // the API server's; empty from files
    std::int64_t generation = 1;
    // RFC 3339 text, compared as text; empty sorts first. Files without one are ordered by name.
    std::string creation_timestamp;
    Labels labels;
    Labels annotations;
};

// Kind, namespace and name: identifies an object within one source.
struct ObjectKey {
    std::string kind;
    std::string ns;
    std::string name;
    auto operator<=>(const ObjectKey&) const = default;
    [[nodiscard]] std::string to_string() const  // "HTTPRoute default/web", "GatewayClass sluice"
    {
        return kind + " " + (ns.empty() ? name : ns + "/" + name);
    }
};

// metav1.LabelSelector. An empty selector matches everything.
struct LabelSelector {
    enum class Operator { In, NotIn, Exists, DoesNotExist };
    struct Requirement {
        std::string key;
        Operator op = Operator::In;
        std::vector<std::string> values;
    };
    Labels match_labels;
    std::vector<Requirement> match_expressions;
    [[nodiscard]] bool matches(const Labels& labels) const;
};

constexpr const char* kGatewayGroup = "gateway.networking.k8s.io";

// A reference with the API's defaults already applied by the decoder.
struct ParentReference {
    std::string group = kGatewayGroup;
    std::string kind = "Gateway";
    std::optional<std::string> ns;  // none: the route's own namespace
    std::string name;
    std::optional<std::string> section_name;
    std::optional<std::uint16_t> port;
    bool operator==(const ParentReference&) const = default;
};

// A reference to a Secret or ConfigMap, as one would be good; what it may name depends on the field.
struct ObjectReference {
    std::string group;  // "" is core
    std::string kind = "Secret";
    std::optional<std::string> ns;  // none: the namespace of the object that refers
    std::string name;
};

struct BackendRef {
    std::string group;  // "" is core
    std::string kind = "Service";
    std::optional<std::string> ns;
    std::string name;
    std::optional<std::uint16_t> port;
    std::uint32_t weight = 1;  // 0 to 1,000,000
    Filters filters;
};

}  // namespace sluice::model
