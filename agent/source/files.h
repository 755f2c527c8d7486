// SPDX-License-Identifier: Apache-2.0
// Objects out of manifest files and folders (*.yaml, *.yml, *.json; folders recursively), watched by inotify.
// Used by the control thread alone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/source/source.h"

namespace sluice::source {

constexpr std::size_t kManifestBytesMax = 4U << 20;  // a larger file is refused whole
constexpr std::size_t kManifestFilesMax = 10'000;
constexpr int kManifestDepthMax = 64;  // nesting inside one document

// Reads every file now, remembering nothing: what `sluice check` does.
[[nodiscard]] Snapshot read_manifests(const std::vector<std::string>& paths);
// The same of one text; `name` stands for the file in problems.
[[nodiscard]] Snapshot read_text(std::string_view text, const std::string& name);

class FileSource final : public Source {
public:
    // Errors: a path that does not exist or cannot be watched (ENOENT, EACCES, ENOSPC for inotify watches).
    [[nodiscard]] static Result<std::unique_ptr<FileSource>> make(std::vector<std::string> paths);
    ~FileSource() override;

    [[nodiscard]] int change_fd() const override;
    [[nodiscard]] bool drain_changes() override;
    [[nodiscard]] bool is_complete() const override { return true; }
    // The current state: refused objects are replaced by their last good version, as long as the file (for an
    // unreadable file) or the object's name (for a refused object) is still there. meta.generation counts the
    // changes of each object's spec since start. A file that somebody is writing counts with what it held before, until
    // its writer closes it.
    void update(Snapshot& snapshot) override;

private:
    struct State;
    explicit FileSource(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::source
