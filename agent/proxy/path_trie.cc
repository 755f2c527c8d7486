// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/path_trie.h"

#include <algorithm>

namespace sluice::proxy {
namespace {

// Takes the first segment off a path: "/a/b" gives "a" and leaves "/b".
std::string_view take_segment(std::string_view& path)
{
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(1, end - 1);
    path.remove_prefix(end);
    return segment;
}

}  // namespace

void PathTrie::add_prefix(std::string_view prefix, Index index)
{
    while (prefix.ends_with('/'))
        prefix.remove_suffix(1);
    Index node = 0;
    while (!prefix.empty()) {
        const auto next = static_cast<Index>(nodes_.size());
        const auto [child, is_new] = nodes_[node].children.try_emplace(std::string(take_segment(prefix)), next);
        const Index found = child->second;
        if (is_new)
            nodes_.emplace_back().parent = node;
        node = found;
    }
    nodes_[node].indices.push_back(index);
}

PathTrie::Index PathTrie::deepest(std::string_view path) const
{
    Index node = 0;
    while (!path.empty() && !nodes_[node].children.empty()) {
        const auto child = nodes_[node].children.find(take_segment(path));
        if (child == nodes_[node].children.end())
            break;
        node = child->second;
    }
    return node;
}

}  // namespace sluice::proxy
