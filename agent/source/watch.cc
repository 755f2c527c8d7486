// SPDX-License-Identifier: Apache-2.0
#include "agent/source/watch.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "agent/source/walk.h"

namespace sluice::source {
namespace {

constexpr std::uint32_t kMask = IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE |
                                IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

bool is_folder(const std::string& path)
{
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

Result<Watch> Watch::make(const std::set<std::string>& named_files)
{
    Watch watch;
    watch.named_files_ = named_files;
    watch.inotify_fd_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!watch.inotify_fd_.valid())
        return fail(errno, "inotify_init1", "manifests");
    watch.poke_fd_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!watch.poke_fd_.valid())
        return fail(errno, "eventfd", "manifests");
    watch.poll_fd_.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!watch.poll_fd_.valid())
        return fail(errno, "epoll_create1", "manifests");
    for (const int fd : {watch.inotify_fd_.get(), watch.poke_fd_.get()}) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        if (::epoll_ctl(watch.poll_fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
            return fail(errno, "epoll_ctl", "manifests");
    }
    return watch;
}

Result<void> Watch::set_folders(const std::set<std::string>& folders)
{
    // Added first and again: the same path may lead to another folder now, and re-adding a watched one changes nothing.
    std::map<std::string, int> next;
    for (const std::string& folder : folders) {
        const int descriptor = ::inotify_add_watch(inotify_fd_.get(), folder.c_str(), kMask);
        if (descriptor >= 0)
            next.emplace(folder, descriptor);
        else if (errno != ENOENT && errno != ENOTDIR)
            return fail(errno, "inotify_add_watch", folder);
    }
    std::multimap<int, std::string> paths;
    for (const auto& [folder, descriptor] : next)
        paths.emplace(descriptor, folder);
    for (const auto& [descriptor, folder] : paths_) {
        // Fails for a folder that is gone, whose watch went with it.
        if (!paths.contains(descriptor))
            static_cast<void>(::inotify_rm_watch(inotify_fd_.get(), descriptor));
    }
    folders_ = std::move(next);
    paths_ = std::move(paths);
    return {};
}

void Watch::poke()
{
    const std::uint64_t one = 1;
    // Fails only when the counter is full, and then the descriptor is readable anyway.
    static_cast<void>(!::write(poke_fd_.get(), &one, sizeof one));
}

bool Watch::drain()
{
    std::uint64_t pokes = 0;
    bool interesting = ::read(poke_fd_.get(), &pokes, sizeof pokes) == sizeof pokes;
    alignas(inotify_event) std::array<char, 16384> buffer;
    for (;;) {
        const ssize_t length = ::read(inotify_fd_.get(), buffer.data(), buffer.size());
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            return interesting;
        for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
            const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
            interesting = note(*event) || interesting;
            at += sizeof(inotify_event) + event->len;
        }
    }
}

bool Watch::is_of_interest(const std::string& path, std::string_view name) const
{
    // Kubernetes swaps what a ConfigMap mount shows by renaming over the link "..data".
    if (name == "..data" || named_files_.contains(path))
        return true;
    if (name.starts_with('.'))
        return false;
    return is_manifest_name(name) || folders_.contains(path) || is_folder(path);
}

// One event may mean several paths, when several lead to one folder.
bool Watch::note(const inotify_event& event)
{
    if ((event.mask & IN_Q_OVERFLOW) != 0) {
        being_written_.clear();
        return true;
    }
    if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0)
        return true;
    if (event.len == 0)
        return false;
    const std::string_view name(event.name);
    bool interesting = false;
    const auto [begin, end] = paths_.equal_range(event.wd);
    for (auto each = begin; each != end; ++each) {
        const std::string path = join_path(each->second, name);
        if ((event.mask & IN_MODIFY) != 0)
            being_written_.insert(path);
        else if ((event.mask & (IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE)) != 0)
            being_written_.erase(path);
        interesting = interesting || ((event.mask & IN_MODIFY) == 0 && is_of_interest(path, name));
    }
    return interesting;
}

}  // namespace sluice::source
