// SPDX-License-Identifier: Apache-2.0
// Objects out of manifest files and folders (*.yaml, *.yml, *.json; folders recursively), watched by inotify.
// Used by the control thread alone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/model/objects.h"
#include "base/result.h"

namespace sluice::source {

// One thing wrong with the input. Fatal: the object (or, without one, the file) was refused; its last good version,
// if there was one, is still in `objects`. Not fatal: an unknown field, a kind that sluice does not use.
struct Problem {
    bool fatal = true;
    std::string file;
    int line = 0;         // 1-based; 0 when the whole file is meant
    std::string object;   // "HTTPRoute default/web"; may be empty
    std::string field;    // "spec.rules[0].matches[0].path.type"; may be empty
    std::string value;    // what was found, shortened to 80 characters and made printable; may be empty
    std::string message;  // what is wrong and what would be accepted
    bool operator==(const Problem&) const = default;
};

// "routes.yaml:12: HTTPRoute default/web: spec.rules[0].matches[0].path.type: \"Prefix\": …"
[[nodiscard]] std::string to_string(const Problem& problem);

struct Snapshot {
    model::Objects objects;
    std::vector<Problem> problems;
    std::size_t files = 0;
};

constexpr std::size_t kManifestBytesMax = 4U << 20;  // a larger file is refused whole
constexpr std::size_t kManifestFilesMax = 10'000;
constexpr int kManifestDepthMax = 64;  // nesting inside one document

// Reads every file now, remembering nothing: what `sluice check` does.
[[nodiscard]] Snapshot read_manifests(const std::vector<std::string>& paths);

class FileSource {
public:
    // Errors: a path that does not exist or cannot be watched (ENOENT, EACCES, ENOSPC for inotify watches).
    [[nodiscard]] static Result<std::unique_ptr<FileSource>> make(std::vector<std::string> paths);
    ~FileSource();
    FileSource(const FileSource&) = delete;
    FileSource& operator=(const FileSource&) = delete;

    [[nodiscard]] int change_fd() const;  // readable when something under the paths may have changed
    [[nodiscard]] bool drain_changes();   // empties it; false when nothing of interest did
    // The current state: refused objects are replaced by their last good version, as long as the file (for an
    // unreadable file) or the object's name (for a refused object) is still there. meta.generation counts the
    // changes of each object's spec since start. A file that somebody is writing counts with what it held before, until
    // its writer closes it.
    [[nodiscard]] Snapshot load();

private:
    struct State;
    explicit FileSource(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::source
