// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/router_hosts.h"

#include <algorithm>

#include "agent/proxy/words.h"

namespace sluice::proxy {

RequestHost::RequestHost(std::string_view authority)
{
    const std::size_t host_end = authority.starts_with('[') ? authority.find(']') : 0;
    std::string_view name = authority.substr(0, authority.find(':', std::min(host_end, authority.size())));
    if (name.ends_with('.'))
        name.remove_suffix(1);
    if (name.size() > bytes_.size())
        return;
    size_ = name.size();
    http1::copy_to_lower(bytes_.data(), name.data(), name.size());
}

void HostIndex::add(std::string_view hostname, Index index)
{
    if (hostname.empty()) {
        any_ = any_.value_or(index);
    } else if (hostname.starts_with("*.")) {
        suffixes_.try_emplace(hostname.substr(1), index);
        suffix_bytes_max_ = std::max(suffix_bytes_max_, hostname.size() - 1);
    } else {
        exact_.try_emplace(hostname, index);
    }
}

}  // namespace sluice::proxy
