// SPDX-License-Identifier: Apache-2.0
// What the files said so far: merges the decoded files of one load into a snapshot, keeps the last good version of
// what is refused now, and counts generations. No I/O; used by the control thread alone.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/source/decode.h"
#include "agent/source/files.h"

namespace sluice::source {

struct FileContent {
    std::string path;
    std::shared_ptr<const Decoded> decoded;
};

class Ledger {
public:
    // `files` in the order in which they win: of two objects with one name, the first file's counts.
    [[nodiscard]] Snapshot merge(const std::vector<FileContent>& files, std::vector<Problem> problems);

private:
    struct Entry {
        std::shared_ptr<const Decoded> decoded;  // that `good` is in
        const DecodedObject* good = nullptr;
        std::string file;
        std::int64_t generation = 1;
    };
    using Entries = std::map<model::ObjectKey, Entry>;

    // Where a name was met first.
    struct Place {
        const std::string* file;
        int line;
    };
    using Claims = std::map<model::ObjectKey, Place>;

    void keep_last_good(const std::vector<FileContent>& files, Entries& next, const Claims& claimed);
    void keep(const model::ObjectKey& key, Entries& next);

    Entries entries_;
};

}  // namespace sluice::source
