// SPDX-License-Identifier: Apache-2.0
// Where objects come from: manifest files or a cluster. Whole states, never events.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/model/objects.h"
#include "base/result.h"

namespace sluice::source {

// One thing wrong with the input. Fatal: the object (or, without one, the file) was refused; its last good version,
// if there was one, is still in `objects`. Not fatal: an unknown field, a kind that sluice does not use.
struct Problem {
    bool fatal = true;
    std::string file;     // of a cluster: what was asked of it
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
    std::uint64_t version = 0;  // the source's own
};

class Source {
public:
    virtual ~Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    [[nodiscard]] virtual int change_fd() const = 0;  // readable when something may have changed
    [[nodiscard]] virtual bool drain_changes() = 0;   // empties it; false when nothing of interest did
    // Everything was read once. Before that nothing may be served by it: what an agent before us serves would go.
    [[nodiscard]] virtual bool is_complete() const = 0;
    // Brings to the current state what the last call for this source has left, or an empty one.
    virtual void update(Snapshot& snapshot) = 0;
    [[nodiscard]] Snapshot load()  // the current state
    {
        Snapshot snapshot;
        update(snapshot);
        return snapshot;
    }

protected:
    Source() = default;
};

}  // namespace sluice::source
