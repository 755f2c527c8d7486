// SPDX-License-Identifier: Apache-2.0
// Fuzzes request heads, their paths and their chunked bodies.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/http1_request/properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const char* violated = sluice::proxy::http1::fuzz::violated_property(input);
    if (violated == nullptr)
        violated = sluice::proxy::http1::fuzz::check_canonical(input);
    if (violated != nullptr) {
        std::fprintf(stderr, "%s\n", violated);
        std::abort();
    }
    return 0;
}
