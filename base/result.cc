// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <cstring>

namespace sluice {

std::string to_string(const Error& error)
{
    std::string text = error.op;
    if (!error.subject.empty())
        text += " " + error.subject;
    if (error.errno_value != 0)
        text += std::string(": ") + std::strerror(error.errno_value);
    return text;
}

}  // namespace sluice
