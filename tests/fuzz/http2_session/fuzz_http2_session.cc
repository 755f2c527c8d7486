// SPDX-License-Identifier: Apache-2.0
// Fuzzes both ends of HTTP/2 through a real proxy: session, streams, exchange, translation.
#include <cstdint>

#include "tests/fuzz/http2_session/peers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static sluice::proxy::fuzz::Http2Peers peers;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (const char* violated = peers.violated_property(input)) {
        std::fprintf(stderr, "%s\n", violated);
        std::abort();
    }
    return 0;
}
