// SPDX-License-Identifier: Apache-2.0
#include "agent/source/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/unique_fd.h"

namespace sluice::source {
namespace {

constexpr int kFolderDepthMax = 16;

std::string real_path(const std::string& path)
{
    const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
    return resolved ? resolved.get() : "";
}

class Walker {
public:
    void add_path(const std::string& path)
    {
        struct stat status{};
        if (::stat(path.c_str(), &status) != 0) {
            refuse(path, std::strerror(errno));
            add_folder(parent_folder(path));
        } else if (S_ISDIR(status.st_mode)) {
            add_folder_tree(path, 0);
        } else {
            add_folder(parent_folder(path));
            add_file(path);
        }
    }

    [[nodiscard]] Walk take()
    {
        std::ranges::sort(walk_.files);
        return std::move(walk_);
    }

private:
    void refuse(const std::string& path, std::string message)
    {
        walk_.problems.push_back({true, path, 0, "", "", "", std::move(message)});
    }

    void add_folder(const std::string& path) { walk_.folders.insert(path); }

    void add_file(const std::string& path)
    {
        const std::string real = real_path(path);
        // A link into nowhere, or a file that went away since it was listed.
        if (real.empty())
            return refuse(path, std::strerror(errno));
        if (!real_files_.insert(real).second)
            return;
        if (walk_.files.size() >= kManifestFilesMax) {
            if (!full_)
                refuse(path,
                       "more than " + std::to_string(kManifestFilesMax) + " files: this and further ones are not read");
            full_ = true;
            return;
        }
        walk_.files.push_back(path);
        if (real_path(parent_folder(path)) != real_path(parent_folder(real)))
            add_folder(parent_folder(real));
    }

    void add_folder_tree(const std::string& path, int depth)
    {
        if (depth > kFolderDepthMax)
            return refuse(path, "folders are nested too deeply: at most " + std::to_string(kFolderDepthMax));
        // Several ways may lead to one folder, even from inside itself.
        if (!real_folders_.insert(real_path(path)).second)
            return;
        const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
        if (!folder)
            return refuse(path, std::strerror(errno));
        add_folder(path);
        std::vector<std::string> names;
        while (const dirent* entry = ::readdir(folder.get())) {
            if (entry->d_name[0] != '.')
                names.emplace_back(entry->d_name);
        }
        std::ranges::sort(names);
        for (const std::string& name : names) {
            const std::string child = join_path(path, name);
            struct stat status{};
            const bool found = ::stat(child.c_str(), &status) == 0;
            if (found && S_ISDIR(status.st_mode))
                add_folder_tree(child, depth + 1);
            else if (is_manifest_name(name))
                add_file(child);
        }
    }

    Walk walk_;
    std::set<std::string> real_files_;
    std::set<std::string> real_folders_;
    bool full_ = false;
};

}  // namespace

bool is_manifest_name(std::string_view name)
{
    // "~" and "#" end or begin the backups of editors; none of them ends in one of these suffixes otherwise.
    if (name.starts_with('.') || name.starts_with('#') || name.starts_with('~'))
        return false;
    return name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json");
}

std::string parent_folder(const std::string& path)
{
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos)
        return ".";
    return path.substr(0, slash + 1);
}

std::string join_path(const std::string& folder, std::string_view name)
{
    if (folder == ".")
        return std::string(name);
    return (folder.ends_with('/') ? folder : folder + "/") + std::string(name);
}

Walk walk(const std::vector<std::string>& paths)
{
    Walker walker;
    for (const std::string& path : paths)
        walker.add_path(path);
    return walker.take();
}

Result<FileText> read_file(const std::string& path)
{
    // O_NONBLOCK: a FIFO in the folder must not stop the control thread.
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid())
        return fail(errno, "open", path);
    FileText file;
    if (::fstat(fd.get(), &file.status) != 0)
        return fail(errno, "fstat", path);
    if (!S_ISREG(file.status.st_mode))
        return fail(EINVAL, "read", path);
    if (file.status.st_size > static_cast<off_t>(kManifestBytesMax))
        return fail(EFBIG, "read", path);
    // A file that grew since fstat() and past this is being written: its writer's close brings it up again.
    file.text.resize(std::min(static_cast<std::size_t>(file.status.st_size) + 4096, kManifestBytesMax + 1));
    std::size_t length = 0;
    while (length < file.text.size()) {
        const ssize_t got = ::read(fd.get(), file.text.data() + length, file.text.size() - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(errno, "read", path);
        if (got == 0)
            break;
        length += static_cast<std::size_t>(got);
    }
    if (length > kManifestBytesMax)
        return fail(EFBIG, "read", path);
    file.text.resize(length);
    return file;
}

}  // namespace sluice::source
