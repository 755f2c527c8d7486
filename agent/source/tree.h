// SPDX-License-Identifier: Apache-2.0
// One YAML document as a bounded tree with line numbers, built from yaml-cpp's events, never from its nodes: those
// expand aliases without a limit. Aliases share the node that they name; what expanding them would cost is counted
// while the tree is built, so that every walk over it is bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "agent/source/text.h"

namespace sluice::source {

struct Node {
    enum class Type : std::uint8_t { Null, Scalar, List, Map };
    Type type = Type::Null;
    bool is_string = false;            // a scalar that is a string whatever it looks like: quoted, block or !!str
    int line = 0;                      // 1-based, in the file
    int height = 1;                    // levels below and including this one
    std::size_t cost = 1;              // nodes and bytes, aliases expanded
    std::string text;                  // of a scalar
    std::vector<std::uint32_t> items;  // list: the elements; map: key, value, key, value, …
};

struct Tree {
    std::vector<Node> nodes;
    std::uint32_t root = 0;
    [[nodiscard]] const Node& at(std::uint32_t index) const { return nodes[index]; }
};

constexpr std::size_t kTreeCostMax = 8U << 20;  // nodes and bytes of one document with its aliases expanded

// The fault is a syntax error, or a bound that the document is over; nothing of the document is readable then.
[[nodiscard]] std::expected<Tree, TextFault> parse_document(const Document& document);

}  // namespace sluice::source
