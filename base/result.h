// SPDX-License-Identifier: Apache-2.0
// The one error type of the project. An Error is built where a call failed, passed up untouched and logged
// once, by whoever decides what to do about it.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace sluice {

struct Error {
    int errno_value;      // positive errno; 0 when no system call was involved
    const char* op;       // literal that says what failed: "bpf_map_update_elem", "decode", "bind"
    std::string subject;  // what it was done to: map, interface, file, object and field
};

template <class T> using Result = std::expected<T, Error>;

// Builds the unexpected arm of any Result: `return fail(errno, "open", path);`
[[nodiscard]] inline std::unexpected<Error> fail(int errno_value, const char* op, std::string subject)
{
    return std::unexpected(Error{errno_value < 0 ? -errno_value : errno_value, op, std::move(subject)});
}

// One line for a person: "open /etc/x.yaml: No such file or directory".
[[nodiscard]] std::string to_string(const Error& error);

}  // namespace sluice
