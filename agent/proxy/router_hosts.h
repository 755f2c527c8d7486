// SPDX-License-Identifier: Apache-2.0
// Hostnames of listeners and routes, compiled: exact ones by hash, wildcards by the hash of their suffix, and the
// empty one. Immutable once filled; a look-up costs no allocation and at most as many hashes as the request's name has
// labels that a wildcard could leave over.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace sluice::proxy {

constexpr std::size_t kHostBytesMax = 253;

// The name in an authority: without port and trailing dot, in lower case. Addresses keep their brackets. A name that is
// too long for DNS comes out empty: only "" takes it.
class RequestHost {
public:
    explicit RequestHost(std::string_view authority);
    [[nodiscard]] std::string_view name() const { return {bytes_.data(), size_}; }

private:
    std::array<char, kHostBytesMax> bytes_;
    std::size_t size_ = 0;
};

class HostIndex {
public:
    using Index = std::uint32_t;

    // `hostname` is lower case and must outlive this; of two equal ones the first counts.
    void add(std::string_view hostname, Index index);

    // Calls `visit(index)` for every hostname that covers `host`, the most specific first, until it returns true.
    template <class Visit> bool visit(std::string_view host, const Visit& visit_one) const
    {
        if (const auto found = exact_.find(host); found != exact_.end() && visit_one(found->second))
            return true;
        // A suffix begins at a dot behind at least one character: "*.example.com" does not cover "example.com".
        const std::size_t first = host.size() > suffix_bytes_max_ ? host.size() - suffix_bytes_max_ : 1;
        for (std::size_t dot = host.find('.', first); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
            if (const auto found = suffixes_.find(host.substr(dot)); found != suffixes_.end())
                if (visit_one(found->second))
                    return true;
        }
        return any_ && visit_one(*any_);
    }

private:
    std::unordered_map<std::string_view, Index> exact_;
    std::unordered_map<std::string_view, Index> suffixes_;  // ".example.com"
    std::size_t suffix_bytes_max_ = 0;
    std::optional<Index> any_;
};

}  // namespace sluice::proxy
