// SPDX-License-Identifier: Apache-2.0
// Watches folders by inotify: says when a manifest in them may have changed, and which files are being written.
// Owns the inotify descriptor; used by the control thread alone.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

struct inotify_event;

namespace sluice::source {

class Watch {
public:
    // `named_files` are of interest whatever their names look like.
    [[nodiscard]] static Result<Watch> make(const std::set<std::string>& named_files);

    // Readable while there is something for drain() to see.
    [[nodiscard]] int fd() const { return poll_fd_.get(); }
    // Watches these folders and no others. Folders that went away meanwhile are left out. Errors: ENOSPC, the limit
    // fs.inotify.max_user_watches; EACCES.
    [[nodiscard]] Result<void> set_folders(const std::set<std::string>& folders);
    // Empties fd(); true when something of interest happened.
    [[nodiscard]] bool drain();
    // Makes the next drain() return true, and fd() readable until then.
    void poke();
    // Modified since it was last closed by a writer: what it holds may be half of what it will.
    [[nodiscard]] bool is_being_written(const std::string& path) const { return being_written_.contains(path); }

private:
    Watch() = default;
    [[nodiscard]] bool note(const inotify_event& event);
    [[nodiscard]] bool is_of_interest(const std::string& path, std::string_view name) const;

    UniqueFd inotify_fd_;
    UniqueFd poke_fd_;
    UniqueFd poll_fd_;
    std::map<std::string, int> folders_;     // to watch descriptor; two paths may share one
    std::multimap<int, std::string> paths_;  // the way back
    std::set<std::string> named_files_;
    std::set<std::string> being_written_;
};

}  // namespace sluice::source
