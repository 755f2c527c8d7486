// SPDX-License-Identifier: Apache-2.0
#include "loader/pins.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/unique_fd.h"
#include "maps/abi.h"

namespace sluice::loader {
namespace {

namespace fs = std::filesystem;

Result<bool> mount_if_needed(const std::string& bpffs)
{
    std::error_code error;
    fs::create_directories(bpffs, error);
    if (error)
        return fail(error.value(), "mkdir", bpffs);
    struct statfs status{};
    if (::statfs(bpffs.c_str(), &status) != 0)
        return fail(errno, "statfs", bpffs);
    if (status.f_type == static_cast<decltype(status.f_type)>(BPF_FS_MAGIC))
        return false;
    if (!fs::is_empty(bpffs, error) || error)
        return fail(ENOTEMPTY, "mount a bpffs", bpffs);
    if (::mount("bpf", bpffs.c_str(), "bpf", 0, "mode=0700") != 0)
        return fail(errno, "mount a bpffs", bpffs);
    return true;
}

}  // namespace

Result<PinDirectory> make_pin_directory(const std::string& bpffs)
{
    const auto mounted = mount_if_needed(bpffs);
    if (!mounted)
        return std::unexpected(mounted.error());
    PinDirectory directory{fmt::format("{}/sluice/v{}", bpffs, SL_LAYOUT_VERSION), *mounted};
    std::error_code error;
    fs::create_directories(directory.path, error);
    if (error)
        return fail(error.value(), "mkdir", directory.path);
    return directory;
}

Result<void> remove_other_layouts(const PinDirectory& current)
{
    const fs::path mine(current.path);
    for (const std::string& name : list_directory(mine.parent_path())) {
        const std::string other = mine.parent_path() / name;
        if (!name.starts_with('v') || other == mine)
            continue;
        spdlog::warn("{}: removed, with the connections that it forwards; the tables have another layout now", other);
        for (const std::string& pin : list_directory(other)) {
            const std::string path = other + "/" + pin;
            if (pin.starts_with("link_"))
                if (const UniqueFd link(bpf_obj_get(path.c_str())); link.valid())
                    (void)bpf_link_detach(link.get());  // fails only for one that is detached already
            if (::unlink(path.c_str()) != 0 && errno != ENOENT)
                return fail(errno, "unlink", path);
        }
        if (::rmdir(other.c_str()) != 0 && errno != ENOENT)
            return fail(errno, "rmdir", other);
    }
    return {};
}

Result<void> remove_pin_directory(const std::string& path)
{
    std::error_code error;
    fs::remove(path, error);
    if (error)
        return fail(error.value(), "rmdir", path);
    fs::remove(fs::path(path).parent_path(), error);  // another layout's pins may still be in it
    return {};
}

std::vector<std::string> list_directory(const std::string& path)
{
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
        names.push_back(entry->path().filename().string());
    std::ranges::sort(names);
    return names;
}

bool is_veth(const std::string& interface)
{
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ethtool_drvinfo driver{};
    driver.cmd = ETHTOOL_GDRVINFO;
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_data = reinterpret_cast<char*>(&driver);
    return ::ioctl(socket.get(), SIOCETHTOOL, &request) == 0 && std::string_view(driver.driver) == "veth";
}

}  // namespace sluice::loader
