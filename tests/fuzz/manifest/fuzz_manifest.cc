// SPDX-License-Identifier: Apache-2.0
// Fuzzes the manifest decoder. Whatever the bytes are: no crash, bounded output, and no object without a key.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/source/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace sluice::source;
    const Decoded decoded = decode({reinterpret_cast<const char*>(data), size}, "fuzz.yaml");
    bool fatal = false;
    for (const Problem& problem : decoded.problems) {
        fatal = fatal || problem.fatal;
        if (problem.value.size() > 80 || problem.line < 0)
            std::abort();
    }
    if (!fatal && (!decoded.refused.empty() || !decoded.complete))
        std::abort();
    for (const DecodedObject& object : decoded.objects) {
        if (object.key.name.empty() || object.line <= 0)
            std::abort();
    }
    return 0;
}
