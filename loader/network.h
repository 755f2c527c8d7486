// SPDX-License-Identifier: Apache-2.0
// Links, addresses and routes of this network namespace by rtnetlink (libnl-3). Used by the control thread alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"

namespace sluice::loader {

struct Link {
    unsigned ifindex = 0;
    std::string name;
    std::string kind;        // "veth", "bridge", "vxlan" …; empty: a device
    unsigned master = 0;     // the ifindex of the bridge or bond that it is a port of; 0: of none
    bool ethernet = false;   // its frames have Ethernet headers
    bool leads_out = false;  // its peer (veth, netkit) or lower link is in another network namespace
    bool loopback = false;
    bool up = false;
    std::vector<IpAddress> addresses;  // without link-local
};

struct Route {
    unsigned ifindex = 0;
    std::optional<IpAddress> gateway;  // none: the destination is on the link
    IpAddress source;                  // preferred source address
    bool local = false;                // an address of this node itself
};

class Network {
public:
    [[nodiscard]] static Result<std::unique_ptr<Network>> make();
    ~Network();
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    [[nodiscard]] Result<std::vector<Link>> links();
    // The kernel's own choice (RTM_GETROUTE). Error ENETUNREACH or EHOSTUNREACH without a route.
    [[nodiscard]] Result<Route> route_to(const IpAddress& destination);
    // Links with a default route; where there is none, every link that is up, has an address and is not loopback.
    [[nodiscard]] Result<std::vector<unsigned>> default_uplinks();

    // Makes an address local: /32 or /128 on lo, marked as an agent's (IFA_PROTO, since Linux 5.18). One that is there
    // already is no error: whose it is says who may remove it later.
    enum class Local {
        Added,
        OfAgent,     // it was there, by its mark; or by its lifetime, which nobody else gives an address of lo
        OfOperator,  // it was there, and stays
    };
    [[nodiscard]] Result<Local> add_local_address(const IpAddress& address,
                                                  std::optional<unsigned> lifetime_s = std::nullopt);
    // From now on: the kernel removes the address after `lifetime_s` seconds, or never. Adds it where it is gone. Both
    // mark it.
    [[nodiscard]] Result<void> extend_local_address(const IpAddress& address, std::optional<unsigned> lifetime_s);
    [[nodiscard]] Result<void> remove_local_address(const IpAddress& address);  // absent is no error

    // Readable (epoll) when links, addresses or routes changed; `drain_changes` empties it and tells if anything did.
    // The addresses of lo are what callers put there, not news to them.
    [[nodiscard]] int change_fd() const;
    [[nodiscard]] bool drain_changes();

private:
    struct State;
    explicit Network(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::loader
