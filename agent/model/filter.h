// SPDX-License-Identifier: Apache-2.0
// Filters of HTTPRoutes and GRPCRoutes that change heads, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice::model {

struct HeaderField {
    std::string name;
    std::string value;
    bool operator==(const HeaderField&) const = default;
};

// RequestHeaderModifier, ResponseHeaderModifier. Names without case; of what is served each stands once in all three
// lists.
struct HeaderModifier {
    std::vector<HeaderField> set;  // instead of what is there
    std::vector<HeaderField> add;  // beside it
    std::vector<std::string> remove;
    [[nodiscard]] bool empty() const { return set.empty() && add.empty() && remove.empty(); }
    bool operator==(const HeaderModifier&) const = default;
};

// RequestRedirect. What is not there stays as the request has it.
struct Redirect {
    std::string scheme;    // "", "http" or "https"
    std::string hostname;  // may be empty
    std::optional<std::string> full_path;
    std::optional<std::string> prefix;  // instead of the prefix that the match names
    std::optional<std::uint16_t> port;
    std::uint16_t status = 302;
    bool operator==(const Redirect&) const = default;
};

struct Filters {
    std::vector<std::string> types;  // of all that are present
    HeaderModifier request_headers;
    HeaderModifier response_headers;
    std::optional<Redirect> redirect;
    bool operator==(const Filters&) const = default;
};

}  // namespace sluice::model
