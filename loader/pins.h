// SPDX-License-Identifier: Apache-2.0
// The pin directory <bpffs>/sluice/v<SL_LAYOUT_VERSION>/: mounting the file system, making and removing the folders.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::loader {

struct PinDirectory {
    std::string path;
    bool mounted = false;  // this call mounted the file system
};

// Makes the directory. A bpffs is mounted on `bpffs` when that is an empty directory of another file system.
[[nodiscard]] Result<PinDirectory> make_pin_directory(const std::string& bpffs);
// Detaches and removes what an agent of another layout pinned: its programs would go on serving by tables that nobody
// keeps, and hold the hooks.
[[nodiscard]] Result<void> remove_other_layouts(const PinDirectory& current);
// Removes it, and its parent once empty. Absent is no error.
[[nodiscard]] Result<void> remove_pin_directory(const std::string& path);
[[nodiscard]] std::vector<std::string> list_directory(const std::string& path);
// Whether the link is one end of a veth pair.
[[nodiscard]] bool is_veth(const std::string& interface);

}  // namespace sluice::loader
