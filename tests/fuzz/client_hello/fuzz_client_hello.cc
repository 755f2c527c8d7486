// SPDX-License-Identifier: Apache-2.0
// Fuzzes what a client sends first to a port whose TLS is passed through.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/client_hello/properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (const char* violated = sluice::proxy::fuzz::violated_client_hello_property(input)) {
        std::fprintf(stderr, "%s\n", violated);
        std::abort();
    }
    return 0;
}
