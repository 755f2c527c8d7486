// SPDX-License-Identifier: Apache-2.0
// The paths of one host, compiled: exact ones by hash, prefixes in a trie over path segments, regular expressions in a
// list. Finds the first entry, in the order they were added, whose path matches and that the caller accepts. Immutable
// once filled; a look-up costs no allocation.
#pragma once

#include <re2/re2.h>

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sluice::proxy {

class PathTrie {
public:
    using Index = std::uint32_t;  // of the caller's entry; smaller ones take precedence
    static constexpr Index kNone = std::numeric_limits<Index>::max();

    // Entries are added with rising indices. Paths are canonical; of prefixes a trailing '/' does not count.
    void add_exact(std::string_view path, Index index) { exact_[std::string(path)].push_back(index); }
    void add_prefix(std::string_view prefix, Index index);
    // `regex` must outlive the trie.
    void add_regex(const RE2& regex, Index index) { regexes_.push_back({&regex, index}); }

    // The smallest index whose path matches and for which `accepts(index)` is true. Indices that could not be the
    // answer any more are not tried.
    template <class Accepts> [[nodiscard]] Index find(std::string_view path, const Accepts& accepts) const
    {
        Index best = kNone;
        const auto try_in_order = [&](std::span<const Index> indices) {
            for (const Index index : indices) {
                if (index >= best)
                    return;
                if (accepts(index)) {
                    best = index;
                    return;
                }
            }
        };
        if (!exact_.empty()) {  // or the hash would be for nothing
            if (const auto found = exact_.find(path); found != exact_.end())
                try_in_order(found->second);
        }
        for (Index node = deepest(path); node != kNone; node = nodes_[node].parent)
            try_in_order(nodes_[node].indices);
        for (const Regex& regex : regexes_) {
            if (regex.index >= best)
                break;
            if (RE2::FullMatch({path.data(), path.size()}, *regex.regex) && accepts(regex.index))
                best = regex.index;
        }
        return best;
    }

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    template <class Value> using ByText = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;
    struct Node {
        Index parent = kNone;
        ByText<Index> children;
        std::vector<Index> indices;
    };
    struct Regex {
        const RE2* regex;
        Index index;
    };

    // The last node that the segments of `path` lead to.
    [[nodiscard]] Index deepest(std::string_view path) const;

    ByText<std::vector<Index>> exact_;
    std::vector<Node> nodes_ = std::vector<Node>(1);  // [0] is "/"
    std::vector<Regex> regexes_;
};

}  // namespace sluice::proxy
