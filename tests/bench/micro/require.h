// SPDX-License-Identifier: Apache-2.0
// A benchmark that does not do what it is meant to measure ends its program with 1: a skipped row alone would exit 0.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace sluice::bench {

inline void require(bool holds, const char* what)
{
    if (holds)
        return;
    std::fprintf(stderr, "benchmark: %s\n", what);
    std::exit(1);
}

}  // namespace sluice::bench
