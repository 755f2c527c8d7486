// SPDX-License-Identifier: Apache-2.0
// Pins are found again by name: maps by theirs, links as link_tcx_<ifindex>, link_xdp_<ifindex> and link_sk_lookup.
#include "loader/dataplane.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <set>
#include <string_view>

#include "base/unique_fd.h"
#include "loader/pins.h"
#include "loader/skeleton.h"

namespace sluice::loader {
namespace {

constexpr const char* kSkLookupPin = "link_sk_lookup";

struct SkeletonDeleter {
    void operator()(sluice_programs* skeleton) const { sluice__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<sluice_programs, SkeletonDeleter>;

int log_libbpf(libbpf_print_level, const char* format, va_list arguments)
{
    std::array<char, 4096> text{};
    const int length = std::vsnprintf(text.data(), text.size(), format, arguments);
    std::string_view view(text.data());
    while (!view.empty() && view.back() == '\n')
        view.remove_suffix(1);
    spdlog::debug("{}", view);
    return length;
}

std::string pin_name(Hook hook, unsigned ifindex)
{
    if (hook == Hook::SkLookup)
        return kSkLookupPin;
    return fmt::format("link_{}_{}", hook == Hook::Xdp ? "xdp" : "tcx", ifindex);
}

std::string name_of(unsigned ifindex)
{
    std::array<char, IF_NAMESIZE> name{};
    return ::if_indextoname(ifindex, name.data()) != nullptr ? std::string(name.data()) : fmt::format("#{}", ifindex);
}

struct Link {
    UniqueFd fd;
    Hook hook = Hook::Tcx;
    unsigned ifindex = 0;
    bool current = false;  // runs this process's program
};

// The link behind a pin. `ifindex` stays 0 when the interface has gone.
Result<Link> read_link(UniqueFd fd, const std::string& path)
{
    bpf_link_info info{};
    std::uint32_t size = sizeof(info);
    if (const int error = bpf_link_get_info_by_fd(fd.get(), &info, &size); error != 0)
        return fail(error, "bpf_link_get_info_by_fd", path);
    Link link{.fd = std::move(fd)};
    if (info.type == BPF_LINK_TYPE_XDP) {
        link.hook = Hook::Xdp;
        link.ifindex = info.xdp.ifindex;
    } else if (info.type == BPF_LINK_TYPE_TCX) {
        link.ifindex = info.tcx.ifindex;
    } else {
        link.hook = Hook::SkLookup;
    }
    return link;
}

// A pinned map is adopted only if a program could have made it: libbpf would say no more than EINVAL.
Result<void> check_pinned(const bpf_map* map, const std::string& path)
{
    const UniqueFd fd(bpf_obj_get(path.c_str()));
    if (!fd.valid())
        return errno == ENOENT ? Result<void>() : fail(errno, "bpf_obj_get", path);
    bpf_map_info info{};
    std::uint32_t size = sizeof(info);
    if (const int error = bpf_map_get_info_by_fd(fd.get(), &info, &size); error != 0)
        return fail(error, "bpf_map_get_info_by_fd", path);
    if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
        info.value_size != bpf_map__value_size(map) || info.max_entries != bpf_map__max_entries(map) ||
        info.map_flags != bpf_map__map_flags(map))
        return fail(EINVAL, "adopt pinned map",
                    path + ": its layout is another; stop the agent that uses it and remove the file");
    return {};
}

Result<Skeleton> open_skeleton()
{
    libbpf_set_print(log_libbpf);
    Skeleton skeleton(sluice__open());
    if (!skeleton)
        return fail(errno, "bpf_object__open", "sluice.bpf.o");
    return skeleton;
}

}  // namespace

struct Dataplane::State {
    DataplaneOptions options;
    PinDirectory pins;
    Skeleton skeleton;
    maps::Tables tables;
    std::map<std::string, Link> links;  // by pin name
    std::set<unsigned> without_xdp;     // warned about
    bool removed = false;

    [[nodiscard]] std::string path(const std::string& name) const { return pins.path + "/" + name; }
    [[nodiscard]] int program(Hook hook) const;
    Result<void> pin_maps();
    void bind_tables();
    Result<void> seed();
    Result<void> find_links();
    Result<void> drop(const std::string& name);
    Result<void> put(Hook hook, unsigned ifindex);
    Result<void> put_xdp(unsigned ifindex);
    Result<UniqueFd> create_link(Hook hook, unsigned ifindex) const;
};

int Dataplane::State::program(Hook hook) const
{
    switch (hook) {
    case Hook::Xdp: return bpf_program__fd(skeleton->progs.sl_xdp_ingress);
    case Hook::Tcx: return bpf_program__fd(skeleton->progs.sl_tc_ingress);
    default: return bpf_program__fd(skeleton->progs.sl_sk_lookup);
    }
}

Result<void> Dataplane::State::pin_maps()
{
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, skeleton->obj)
    {
        const std::string file = path(bpf_map__name(map));
        if (auto checked = check_pinned(map, file); !checked)
            return checked;
        if (const int error = bpf_map__set_pin_path(map, file.c_str()); error != 0)
            return fail(error, "bpf_map__set_pin_path", file);
    }
    return {};
}

void Dataplane::State::bind_tables()
{
    const auto& maps = skeleton->maps;
    tables.listeners = {bpf_map__fd(maps.sl_listeners), SL_MAP_LISTENERS};
    tables.backends = {bpf_map__fd(maps.sl_backends), SL_MAP_BACKENDS};
    tables.rings = maps::Rings(bpf_map__fd(maps.sl_rings));
    tables.flows = {bpf_map__fd(maps.sl_flows), SL_MAP_FLOWS};
    tables.replies = {bpf_map__fd(maps.sl_replies), SL_MAP_REPLIES};
    tables.counters = {bpf_map__fd(maps.sl_counters), bpf_map__fd(maps.sl_drops)};
    tables.config = {bpf_map__fd(maps.sl_config), SL_MAP_CONFIG};
}

// The hash's seed is drawn once, so that a flow finds its backend again after a restart.
Result<void> Dataplane::State::seed()
{
    auto config = tables.config.get(0);
    if (!config)
        return std::unexpected(config.error());
    sl_config value = config->value_or(sl_config{});
    if (value.seed[0] != 0 || value.seed[1] != 0)
        return {};
    if (::getrandom(value.seed, sizeof(value.seed), 0) != static_cast<ssize_t>(sizeof(value.seed)))
        return fail(errno, "getrandom", SL_MAP_CONFIG);
    return tables.config.set(0, value);
}

Result<void> Dataplane::State::find_links()
{
    for (const std::string& name : list_directory(pins.path)) {
        if (!name.starts_with("link_"))
            continue;
        UniqueFd fd(bpf_obj_get(path(name).c_str()));
        if (!fd.valid())
            return fail(errno, "bpf_obj_get", path(name));
        auto link = read_link(std::move(fd), path(name));
        if (!link)
            return std::unexpected(link.error());
        const bool vanished = link->hook != Hook::SkLookup && link->ifindex == 0;
        links.insert_or_assign(name, std::move(*link));
        if (!vanished)
            continue;
        if (auto dropped = drop(name); !dropped)
            return dropped;
    }
    return {};
}

Result<void> Dataplane::State::drop(const std::string& name)
{
    if (::unlink(path(name).c_str()) != 0 && errno != ENOENT)
        return fail(errno, "unlink", path(name));
    // Detached at once, also if somebody else holds the link open; fails only for one that is detached already.
    if (const auto found = links.find(name); found != links.end())
        (void)bpf_link_detach(found->second.fd.get());
    links.erase(name);
    return {};
}

Result<UniqueFd> Dataplane::State::create_link(Hook hook, unsigned ifindex) const
{
    bpf_link_create_opts create{};
    create.sz = sizeof(create);
    int target = static_cast<int>(ifindex);
    bpf_attach_type type = BPF_TCX_INGRESS;
    UniqueFd netns;
    if (hook == Hook::Xdp) {
        type = BPF_XDP;
        create.flags = XDP_FLAGS_DRV_MODE;
    } else if (hook == Hook::SkLookup) {
        type = BPF_SK_LOOKUP;
        netns.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
        target = netns.get();
    }
    const std::string subject = fmt::format("{} on {}", pin_name(hook, ifindex), name_of(ifindex));
    UniqueFd link(bpf_link_create(program(hook), target, type, &create));
    if (!link.valid())
        return fail(errno, "bpf_link_create", subject);
    return link;
}

Result<void> Dataplane::State::put(Hook hook, unsigned ifindex)
{
    const std::string name = pin_name(hook, ifindex);
    if (const auto found = links.find(name); found != links.end()) {
        // The interface may have gone since, and its number may have been given to another one.
        bpf_link_info info{};
        std::uint32_t size = sizeof(info);
        const bool known = bpf_link_get_info_by_fd(found->second.fd.get(), &info, &size) == 0;
        const unsigned now = hook == Hook::Xdp ? info.xdp.ifindex : info.tcx.ifindex;
        if (known && (hook == Hook::SkLookup || now == ifindex)) {
            if (found->second.current)
                return {};
            if (bpf_link_update(found->second.fd.get(), program(hook), nullptr) == 0) {
                found->second.current = true;
                return {};
            }
            if (errno != ENOLINK)
                return fail(errno, "bpf_link_update", path(name));
        }
        if (auto dropped = drop(name); !dropped)
            return dropped;
    }
    auto fd = create_link(hook, ifindex);
    if (!fd)
        return std::unexpected(fd.error());
    if (const int error = bpf_obj_pin(fd->get(), path(name).c_str()); error != 0)
        return fail(error, "bpf_obj_pin", path(name));
    links.insert_or_assign(name, Link{std::move(*fd), hook, ifindex, true});
    return {};
}

// A veth takes native XDP, but as a target of XDP_TX it loses packets unless its peer runs XDP too, and packets with
// partial checksums go out wrong. Nothing tells from here, so it needs to be asked for.
Result<void> Dataplane::State::put_xdp(unsigned ifindex)
{
    const std::string interface = name_of(ifindex);
    if (options.require_xdp)
        return put(Hook::Xdp, ifindex);
    const bool veth = is_veth(interface);
    if (!veth) {
        const auto done = put(Hook::Xdp, ifindex);
        if (done)
            return {};
        if (without_xdp.insert(ifindex).second)
            spdlog::warn("{}: no native XDP, served by tcx alone: {}", interface, to_string(done.error()));
        return {};
    }
    if (without_xdp.insert(ifindex).second)
        spdlog::warn("{}: a veth, served by tcx alone; XDP has to be required for it", interface);
    return {};
}

Dataplane::Dataplane(std::unique_ptr<State> state) : state_(std::move(state)) {}
Dataplane::~Dataplane() = default;

Result<std::unique_ptr<Dataplane>> Dataplane::open(const DataplaneOptions& options)
{
    auto skeleton = open_skeleton();
    if (!skeleton)
        return std::unexpected(skeleton.error());
    auto pins = make_pin_directory(options.bpffs);
    if (!pins)
        return std::unexpected(pins.error());
    auto state = std::make_unique<State>();
    state->options = options;
    state->pins = std::move(*pins);
    state->skeleton = std::move(*skeleton);
    if (auto pinned = state->pin_maps(); !pinned)
        return std::unexpected(pinned.error());
    if (const int error = sluice__load(state->skeleton.get()); error != 0)
        return fail(error, "bpf_object__load", "sluice.bpf.o");
    state->bind_tables();
    if (auto seeded = state->seed(); !seeded)
        return std::unexpected(seeded.error());
    // Only now that there is something to take their place.
    if (auto removed = remove_other_layouts(state->pins); !removed)
        return std::unexpected(removed.error());
    if (auto found = state->find_links(); !found)
        return std::unexpected(found.error());
    return std::unique_ptr<Dataplane>(new Dataplane(std::move(state)));
}

const maps::Tables& Dataplane::tables() const { return state_->tables; }

Result<void> Dataplane::attach(const std::vector<unsigned>& uplinks, const std::vector<unsigned>& backend_links)
{
    std::set<unsigned> wanted(uplinks.begin(), uplinks.end());
    wanted.insert(backend_links.begin(), backend_links.end());
    const std::set<unsigned> wanted_xdp(uplinks.begin(), uplinks.end());
    std::vector<std::string> obsolete;
    for (const auto& [name, link] : state_->links) {
        const bool stays = link.hook == Hook::SkLookup || (link.hook == Hook::Tcx && wanted.contains(link.ifindex)) ||
                           (link.hook == Hook::Xdp && state_->options.allow_xdp && wanted_xdp.contains(link.ifindex));
        if (!stays)
            obsolete.push_back(name);
    }
    for (const std::string& name : obsolete)
        if (auto dropped = state_->drop(name); !dropped)
            return dropped;
    for (const unsigned ifindex : wanted) {
        auto done = state_->put(Hook::Tcx, ifindex);
        if (!done && done.error().errno_value != ENODEV)  // gone between the listing and now
            return done;
    }
    if (!state_->options.allow_xdp)
        return {};
    for (const unsigned ifindex : wanted_xdp) {
        auto done = state_->put_xdp(ifindex);
        if (!done && done.error().errno_value != ENODEV)
            return done;
    }
    return {};
}

Result<void> Dataplane::steer(int tcp_listen_fd)
{
    const int sockets = bpf_map__fd(state_->skeleton->maps.sl_sockets);
    const std::uint32_t slot = SL_SOCKET_TCP;
    const auto value = static_cast<std::uint64_t>(tcp_listen_fd);
    if (const int error = bpf_map_update_elem(sockets, &slot, &value, BPF_ANY); error != 0)
        return fail(error, "bpf_map_update_elem", SL_MAP_SOCKETS);
    return state_->put(Hook::SkLookup, 0);
}

std::vector<Attachment> Dataplane::attachments() const
{
    std::vector<Attachment> all;
    for (const auto& [name, link] : state_->links) {
        const char* program = link.hook == Hook::Xdp   ? "sl_xdp_ingress"
                              : link.hook == Hook::Tcx ? "sl_tc_ingress"
                                                       : "sl_sk_lookup";
        all.push_back({link.hook, link.hook == Hook::SkLookup ? "" : name_of(link.ifindex), link.ifindex, program});
    }
    return all;
}

Result<void> Dataplane::remove()
{
    if (state_->removed)
        return {};
    while (!state_->links.empty())
        if (auto dropped = state_->drop(state_->links.begin()->first); !dropped)
            return dropped;
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, state_->skeleton->obj)
    {
        const std::string file = state_->path(bpf_map__name(map));
        if (::unlink(file.c_str()) != 0 && errno != ENOENT)
            return fail(errno, "unlink", file);
    }
    if (auto gone = remove_pin_directory(state_->pins.path); !gone)
        return gone;
    state_->removed = true;
    if (state_->pins.mounted && ::umount2(state_->options.bpffs.c_str(), MNT_DETACH) != 0)
        return fail(errno, "umount", state_->options.bpffs);
    return {};
}

Result<void> probe()
{
    libbpf_set_print(log_libbpf);
    // r0 = -1 (TCX_NEXT); exit
    const std::array<bpf_insn, 2> program{bpf_insn{BPF_ALU | BPF_MOV | BPF_K, 0, 0, 0, -1},
                                          bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    bpf_prog_load_opts options{};
    options.sz = sizeof(options);
    options.expected_attach_type = BPF_TCX_INGRESS;
    const UniqueFd fd(
        bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "sl_probe", "GPL", program.data(), program.size(), &options));
    if (!fd.valid())
        return fail(errno, "bpf_prog_load",
                    errno == EPERM ? "CAP_BPF and CAP_NET_ADMIN are needed" : "kernel 6.6 is needed for tcx");
    return {};
}

}  // namespace sluice::loader
