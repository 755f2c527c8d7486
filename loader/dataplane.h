// SPDX-License-Identifier: Apache-2.0
// Owns the kernel side: programs, maps, links and their pins under <bpffs>/sluice/v<SL_LAYOUT_VERSION>/.
// Pins outlive the process on purpose: after a crash the kernel goes on forwarding, and the next agent adopts the
// maps with their contents and replaces the programs by link update, without a gap. Only `remove` takes them away.
// Used by the control thread alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "maps/table.h"

namespace sluice::loader {

enum class Hook { Xdp, Tcx, SkLookup };

struct DataplaneOptions {
    std::string bpffs = "/sys/fs/bpf";  // mounted by `open` when it is an empty directory on another file system
    bool allow_xdp = true;              // native XDP on uplinks whose driver has it
    bool require_xdp = false;           // --l4 xdp: fail where an uplink has no native XDP
};

struct Attachment {
    Hook hook;
    std::string interface;  // "" for sk_lookup
    unsigned ifindex = 0;
    std::string program;  // kernel object name
};

class Dataplane {
public:
    // Loads the programs and creates or adopts the pinned maps. Errors: EPERM without CAP_BPF and CAP_NET_ADMIN,
    // and the verifier's log is in the log at debug level.
    [[nodiscard]] static Result<std::unique_ptr<Dataplane>> open(const DataplaneOptions& options);
    ~Dataplane();  // keeps every pin
    Dataplane(const Dataplane&) = delete;
    Dataplane& operator=(const Dataplane&) = delete;

    [[nodiscard]] const maps::Tables& tables() const;

    // Makes the attachments equal to this set: tcx ingress on every listed link, and XDP on the uplinks where allowed.
    // Links that are attached and listed are updated in place, those no longer listed are detached; a link that has
    // vanished is forgotten. An uplink without native XDP is served by tcx alone, and a warning says so once.
    [[nodiscard]] Result<void> attach(const std::vector<unsigned>& uplinks, const std::vector<unsigned>& backend_links);
    // Puts the proxy's listening TCP socket (any member of its SO_REUSEPORT group) behind sk_lookup in this network
    // namespace. The descriptor is only read.
    [[nodiscard]] Result<void> steer(int tcp_listen_fd);
    [[nodiscard]] std::vector<Attachment> attachments() const;

    // Detaches and unpins everything and removes the pin directory. Idempotent.
    [[nodiscard]] Result<void> remove();

private:
    struct State;
    explicit Dataplane(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// Whether this process may load and attach: tries it with a minimal program, leaves nothing behind. The error says
// what is missing ("CAP_BPF and CAP_NET_ADMIN", "kernel 6.6 for tcx").
[[nodiscard]] Result<void> probe();

}  // namespace sluice::loader
