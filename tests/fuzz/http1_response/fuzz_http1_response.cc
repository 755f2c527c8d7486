// SPDX-License-Identifier: Apache-2.0
// Fuzzes response heads and their chunked bodies, and chunked bodies alone.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/http1_response/properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace sluice::proxy::http1::fuzz;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const char* violated = violated_property_of_response(input, "GET");
    if (violated == nullptr)
        violated = violated_property_of_response(input, "HEAD");
    if (violated == nullptr)
        violated = check_chunked(input);
    if (violated != nullptr) {
        std::fprintf(stderr, "%s\n", violated);
        std::abort();
    }
    return 0;
}
