// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/model/meta.h"

namespace sluice::model {

// A Service without selector or address of its own that stands for a Gateway in its namespace, so that tools find what
// serves it, with the labels and annotations that the Gateway asks for (GEP-1762, GEP-1867).
struct InfrastructureService {
    struct Port {
        std::string name;
        std::string protocol;  // TCP or UDP
        std::uint16_t port = 0;
        auto operator<=>(const Port&) const = default;
    };
    // Foreign: a Service of that name is somebody else's, and is left alone.
    enum class State { Current, Missing, Outdated, Foreign };
    std::string ns;
    std::string name;
    std::string gateway;  // the name of its Gateway, which owns it
    Labels labels;
    Labels annotations;       // with one that tells whether the Service is as it should be
    std::vector<Port> ports;  // sorted
    State state = State::Missing;
    bool operator==(const InfrastructureService&) const = default;
};

}  // namespace sluice::model
