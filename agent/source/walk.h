// SPDX-License-Identifier: Apache-2.0
// Finds the manifest files under the given paths and reads them. Stateless.
#pragma once

#include <sys/stat.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/source/files.h"
#include "base/result.h"

namespace sluice::source {

struct Walk {
    std::vector<std::string> files;  // sorted by name; each file once, also when several links lead to it
    std::set<std::string> folders;   // whose changes matter: those walked, and those that links point into
    std::vector<Problem> problems;   // paths that could not be read, and bounds that were met
};

// Files and folders whose name begins with a dot are left out, and editors' temporary files. Links are followed.
[[nodiscard]] Walk walk(const std::vector<std::string>& paths);

// *.yaml, *.yml or *.json, and neither hidden nor an editor's temporary file.
[[nodiscard]] bool is_manifest_name(std::string_view name);

// parent_folder() is what join_path() puts back in front of the name, to the letter.
[[nodiscard]] std::string parent_folder(const std::string& path);
[[nodiscard]] std::string join_path(const std::string& folder, std::string_view name);

struct FileText {
    std::string text;
    struct stat status{};
};

// EFBIG for a file of more than kManifestBytesMax, EINVAL for what is not a regular file.
[[nodiscard]] Result<FileText> read_file(const std::string& path);

}  // namespace sluice::source
