// SPDX-License-Identifier: Apache-2.0
// What holds for every input of the ClientHello parser: for the fuzzer and for the replay of its corpus.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "agent/proxy/client_hello.h"

namespace sluice::proxy::fuzz {

// Null, or which property is violated.
inline const char* violated_client_hello_property(std::string_view bytes)
{
    using Status = ClientHello::Status;
    const ClientHello whole = parse_client_hello(bytes);
    if (whole.status == Status::NeedMore && bytes.size() >= kClientHelloBytesMax)
        return "more is asked for than is allowed";
    if (whole.status != Status::Found && (!whole.server_name.empty() || !whole.alpn.empty()))
        return "a result without a ClientHello";
    if (whole.server_name.size() > 255 || std::ranges::any_of(whole.server_name, [](char c) {
            return c <= ' ' || c == '*' || c == '/' || c == ':' || (c >= 'A' && c <= 'Z') || c == '\x7f';
        }))
        return "a server name that is no host name";
    if (std::ranges::any_of(whole.alpn, [](const std::string& name) { return name.empty() || name.size() > 255; }))
        return "a protocol of no or too great length";
    // A verdict never changes with what comes later, so it is the same in whatever pieces the bytes arrive.
    Status last = Status::NeedMore;
    const std::size_t step = bytes.size() / 64 + 1;
    for (std::size_t size = 0; size <= bytes.size(); size += step) {
        const ClientHello part = parse_client_hello(bytes.substr(0, size));
        if (last != Status::NeedMore && part.status != last)
            return "a verdict has changed";
        if (part.status == Status::Found && (part.server_name != whole.server_name || part.alpn != whole.alpn))
            return "a result has changed";
        last = part.status;
    }
    if (last != Status::NeedMore && last != whole.status)
        return "the last verdict has changed";
    return nullptr;
}

}  // namespace sluice::proxy::fuzz
