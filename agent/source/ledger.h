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
    std::int64_t generation = 0;  // of its one object, where somebody else counts; 0: counted here
};

class Ledger {
public:
    // `files` in the order in which they win: of two objects with one name, the first file's counts.
    [[nodiscard]] Snapshot merge(const std::vector<FileContent>& files, std::vector<Problem> problems);

private:
    struct Entry {
        DecodedObject good;
        std::string file;
        std::int64_t generation = 1;
    };
    using Entries = std::map<model::ObjectKey, Entry>;

    void keep_last_good(const std::vector<FileContent>& files, Entries& next,
                        const std::map<model::ObjectKey, std::string>& claimed);
    void keep(const model::ObjectKey& key, Entries& next);

    Entries entries_;
};

}  // namespace sluice::source
