// SPDX-License-Identifier: Apache-2.0
// The generated skeleton of the kernel programs: struct sluice_programs and the functions sluice__open, __load, ….
// Its code is C, which does not meet our warnings, and its struct would bear the name of our namespace.
#pragma once

#include <bpf/libbpf.h>

#include <cstdlib>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#define sluice sluice_programs
#include "sluice.skel.h"
#undef sluice
#pragma GCC diagnostic pop
