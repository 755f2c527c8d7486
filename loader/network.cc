// SPDX-License-Identifier: Apache-2.0
#include "loader/network.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"

namespace sluice::loader {
namespace {

constexpr int kDumpTries = 5;
constexpr std::uint8_t kAgentsMark = 0x53;  // beyond those that the kernel gives itself

template <auto Free> struct Deleter {
    template <class T> void operator()(T* object) const { Free(object); }
};
using Socket = std::unique_ptr<nl_sock, Deleter<nl_socket_free>>;
using Cache = std::unique_ptr<nl_cache, Deleter<nl_cache_free>>;
using Address = std::unique_ptr<nl_addr, Deleter<nl_addr_put>>;
using LocalAddress = std::unique_ptr<rtnl_addr, Deleter<rtnl_addr_put>>;
using Message = std::unique_ptr<nl_msg, Deleter<nlmsg_free>>;
using LinkObject = std::unique_ptr<rtnl_link, Deleter<rtnl_link_put>>;

// libnl has error numbers of its own: the errno that a person expects for the ones that callers tell apart.
int to_errno(int nl_error)
{
    switch (-nl_error) {
    case NLE_EXIST: return EEXIST;
    case NLE_OBJ_NOTFOUND:
    case NLE_NOADDR: return EADDRNOTAVAIL;
    case NLE_PERM: return EPERM;
    case NLE_NODEV: return ENODEV;
    case NLE_NOMEM: return ENOMEM;
    case NLE_AGAIN: return EAGAIN;
    default: return EIO;
    }
}

std::unexpected<Error> nl_fail(int nl_error, const char* op, const std::string& subject)
{
    const int errno_value = to_errno(nl_error);
    return fail(errno_value, op, errno_value == EIO ? subject + " (" + nl_geterror(nl_error) + ")" : subject);
}

std::optional<IpAddress> to_ip(const nl_addr* address)
{
    if (address == nullptr)
        return std::nullopt;
    const auto* bytes = static_cast<const std::uint8_t*>(nl_addr_get_binary_addr(address));
    if (nl_addr_get_family(address) == AF_INET && nl_addr_get_len(address) == 4) {
        std::uint32_t v4 = 0;
        std::memcpy(&v4, bytes, 4);
        return IpAddress::from_v4(v4);
    }
    if (nl_addr_get_family(address) == AF_INET6 && nl_addr_get_len(address) == 16) {
        std::array<std::uint8_t, 16> v6{};
        std::memcpy(v6.data(), bytes, 16);
        return IpAddress::from_bytes(v6);
    }
    return std::nullopt;
}

Address to_nl(const IpAddress& address)
{
    const bool v4 = address.is_v4();
    const std::uint8_t* bytes = address.bytes().data() + (v4 ? 12 : 0);
    Address result(nl_addr_build(v4 ? AF_INET : AF_INET6, bytes, v4 ? 4 : 16));
    if (result)
        nl_addr_set_prefixlen(result.get(), v4 ? 32 : 128);
    return result;
}

// What is looked for in the list of all addresses.
struct AgentsAddress {
    unsigned loopback;
    IpAddress address;
    bool found;
};

int look_at_address(nl_msg* message, void* user)
{
    auto& search = *static_cast<AgentsAddress*>(user);
    nlmsghdr* header = nlmsg_hdr(message);
    std::array<nlattr*, IFA_MAX + 1> attributes{};
    if (header->nlmsg_type != RTM_NEWADDR ||
        nlmsg_parse(header, sizeof(ifaddrmsg), attributes.data(), IFA_MAX, nullptr) != 0)
        return NL_OK;
    ifaddrmsg fixed{};
    std::memcpy(&fixed, nlmsg_data(header), sizeof fixed);
    nlattr* bytes = attributes[IFA_LOCAL] != nullptr ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
    if (fixed.ifa_index != search.loopback || bytes == nullptr)
        return NL_OK;
    const Address address(nl_addr_alloc_attr(bytes, fixed.ifa_family));
    if (to_ip(address.get()) != search.address)
        return NL_OK;
    const std::uint32_t flags = attributes[IFA_FLAGS] != nullptr ? nla_get_u32(attributes[IFA_FLAGS]) : fixed.ifa_flags;
    const bool is_marked = attributes[IFA_PROTO] != nullptr && nla_get_u8(attributes[IFA_PROTO]) == kAgentsMark;
    search.found = search.found || is_marked || (flags & IFA_F_PERMANENT) == 0;
    return NL_OK;
}

// The dump is a snapshot in which something changed underneath now and then: asked again, a few times.
template <class Alloc> Result<Cache> dump(Alloc alloc, const char* op)
{
    int error = 0;
    for (int i = 0; i < kDumpTries; ++i) {
        nl_cache* raw = nullptr;
        error = alloc(&raw);
        if (error == 0)
            return Cache(raw);
        if (error != -NLE_DUMP_INTR)
            break;
    }
    return nl_fail(error, op, "rtnetlink");
}

}  // namespace

struct Network::State {
    Socket request{nl_socket_alloc()};
    Socket events{nl_socket_alloc()};
    UniqueFd routes;  // for route queries, which libnl does not make as we need them
    std::uint32_t route_sequence = 0;
    unsigned loopback = 0;

    Result<LocalAddress> local_address(const IpAddress& address, std::optional<unsigned> lifetime_s = std::nullopt)
    {
        LocalAddress object(rtnl_addr_alloc());
        const Address local = to_nl(address);
        if (!object || !local)
            return fail(ENOMEM, "rtnl_addr_alloc", address.to_string());
        rtnl_addr_set_ifindex(object.get(), static_cast<int>(loopback));
        rtnl_addr_set_family(object.get(), address.is_v4() ? AF_INET : AF_INET6);
        rtnl_addr_set_local(object.get(), local.get());
        rtnl_addr_set_prefixlen(object.get(), address.is_v4() ? 32 : 128);
        if (!address.is_v4())
            rtnl_addr_set_flags(object.get(), IFA_F_NODAD);  // usable at once
        if (lifetime_s) {
            rtnl_addr_set_valid_lifetime(object.get(), *lifetime_s);
            rtnl_addr_set_preferred_lifetime(object.get(), *lifetime_s);
        }
        return object;
    }

    // Adds or changes an address of lo. libnl does not know the mark.
    int put(rtnl_addr* address, int flags)
    {
        nl_msg* raw = nullptr;
        if (const int error = rtnl_addr_build_add_request(address, flags, &raw); error != 0)
            return error;
        const Message message(raw);
        if (const int error = nla_put_u8(message.get(), IFA_PROTO, kAgentsMark); error != 0)
            return error;
        const int sent = nl_send_auto(request.get(), message.get());
        return sent < 0 ? sent : nl_wait_for_ack(request.get());
    }

    // Whether an address of lo is an agent's. False also when it cannot be told.
    bool is_of_agent(const IpAddress& address)
    {
        AgentsAddress search{.loopback = loopback, .address = address, .found = false};
        const std::unique_ptr<nl_cb, Deleter<nl_cb_put>> callbacks(nl_cb_alloc(NL_CB_DEFAULT));
        if (!callbacks)
            return false;
        nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, look_at_address, &search);
        const int family = address.is_v4() ? AF_INET : AF_INET6;
        for (int i = 0; i < kDumpTries && !search.found; ++i) {
            if (nl_rtgen_request(request.get(), RTM_GETADDR, family, NLM_F_DUMP) < 0 ||
                nl_recvmsgs(request.get(), callbacks.get()) != -NLE_DUMP_INTR)
                break;
        }
        return search.found;
    }

    // Whether a notification is about an address of lo.
    [[nodiscard]] bool is_loopback_address(const nlmsghdr& message) const
    {
        if ((message.nlmsg_type != RTM_NEWADDR && message.nlmsg_type != RTM_DELADDR) ||
            message.nlmsg_len < NLMSG_LENGTH(sizeof(ifaddrmsg)))
            return false;
        ifaddrmsg address{};
        std::memcpy(&address, reinterpret_cast<const char*>(&message) + NLMSG_HDRLEN, sizeof address);
        return address.ifa_index == loopback;
    }

    Result<void> bring_loopback_up()
    {
        const LinkObject before(rtnl_link_alloc());
        const LinkObject change(rtnl_link_alloc());
        rtnl_link_set_ifindex(before.get(), static_cast<int>(loopback));
        rtnl_link_set_flags(change.get(), IFF_UP);
        if (const int error = rtnl_link_change(request.get(), before.get(), change.get(), 0); error != 0)
            return nl_fail(error, "link up", "lo");
        return {};
    }
};

Network::Network(std::unique_ptr<State> state) : state_(std::move(state)) {}
Network::~Network() = default;

Result<std::unique_ptr<Network>> Network::make()
{
    auto state = std::make_unique<State>();
    if (!state->request || !state->events)
        return fail(ENOMEM, "nl_socket_alloc", "rtnetlink");
    if (const int error = nl_connect(state->request.get(), NETLINK_ROUTE); error != 0)
        return nl_fail(error, "nl_connect", "rtnetlink");
    nl_socket_disable_seq_check(state->events.get());
    if (const int error = nl_connect(state->events.get(), NETLINK_ROUTE); error != 0)
        return nl_fail(error, "nl_connect", "rtnetlink events");
    const int error = nl_socket_add_memberships(state->events.get(), RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
                                                RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, 0);
    if (error != 0)
        return nl_fail(error, "nl_socket_add_memberships", "rtnetlink events");
    nl_socket_set_nonblocking(state->events.get());
    state->routes.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!state->routes.valid())
        return fail(errno, "socket", "rtnetlink routes");
    state->loopback = if_nametoindex("lo");
    return std::unique_ptr<Network>(new Network(std::move(state)));
}

Result<std::vector<Link>> Network::links()
{
    auto links =
        dump([&](nl_cache** out) { return rtnl_link_alloc_cache(state_->request.get(), AF_UNSPEC, out); }, "link dump");
    if (!links)
        return std::unexpected(links.error());
    auto addresses =
        dump([&](nl_cache** out) { return rtnl_addr_alloc_cache(state_->request.get(), out); }, "address dump");
    if (!addresses)
        return std::unexpected(addresses.error());
    std::vector<Link> result;
    for (nl_object* item = nl_cache_get_first(links->get()); item != nullptr; item = nl_cache_get_next(item)) {
        auto* link = reinterpret_cast<rtnl_link*>(item);  // NOLINT: libnl's own way to walk a cache
        const unsigned flags = rtnl_link_get_flags(link);
        const char* kind = rtnl_link_get_type(link);
        std::int32_t other_netns = 0;
        result.push_back({.ifindex = static_cast<unsigned>(rtnl_link_get_ifindex(link)),
                          .name = rtnl_link_get_name(link),
                          .kind = kind == nullptr ? "" : kind,
                          .master = static_cast<unsigned>(rtnl_link_get_master(link)),
                          .ethernet = rtnl_link_get_arptype(link) == ARPHRD_ETHER,
                          .leads_out = rtnl_link_get_link_netnsid(link, &other_netns) == 0,
                          .loopback = (flags & IFF_LOOPBACK) != 0,
                          .up = (flags & IFF_UP) != 0,
                          .addresses = {}});
    }
    for (nl_object* item = nl_cache_get_first(addresses->get()); item != nullptr; item = nl_cache_get_next(item)) {
        auto* address = reinterpret_cast<rtnl_addr*>(item);
        const auto ip = to_ip(rtnl_addr_get_local(address));
        const auto link =
            std::ranges::find(result, static_cast<unsigned>(rtnl_addr_get_ifindex(address)), &Link::ifindex);
        if (ip && !ip->is_link_local() && link != result.end())
            link->addresses.push_back(*ip);
    }
    return result;
}

Result<Route> Network::route_to(const IpAddress& destination)
{
    // Asked raw: libnl's route lookup drops the gateway's family of RTA_VIA and the kernel's error code.
    struct Request {
        nlmsghdr header;
        rtmsg route;
        char attributes[64];
    } request{};
    const bool v4 = destination.is_v4();
    const std::size_t bytes = v4 ? 4 : 16;
    request.header.nlmsg_len = NLMSG_LENGTH(sizeof(rtmsg));
    request.header.nlmsg_type = RTM_GETROUTE;
    request.header.nlmsg_flags = NLM_F_REQUEST;
    request.header.nlmsg_seq = ++state_->route_sequence;
    request.route.rtm_family = v4 ? AF_INET : AF_INET6;
    request.route.rtm_dst_len = static_cast<unsigned char>(bytes * 8);
    rtattr attribute{static_cast<unsigned short>(RTA_LENGTH(bytes)), RTA_DST};
    std::memcpy(request.attributes, &attribute, sizeof attribute);
    std::memcpy(request.attributes + RTA_LENGTH(0), destination.bytes().data() + (v4 ? 12 : 0), bytes);
    request.header.nlmsg_len += static_cast<unsigned>(RTA_SPACE(bytes));

    const int fd = state_->routes.get();
    if (::send(fd, &request, request.header.nlmsg_len, 0) < 0)
        return fail(errno, "RTM_GETROUTE", destination.to_string());
    alignas(nlmsghdr) char buffer[8192];
    // What is left of an exchange that was broken off is passed over.
    constexpr int kRepliesMax = 16;
    ssize_t received = 0;
    for (int i = 0; i < kRepliesMax; ++i) {
        received = ::recv(fd, buffer, sizeof buffer, 0);
        if (received < static_cast<ssize_t>(sizeof(nlmsghdr)) ||
            reinterpret_cast<const nlmsghdr*>(buffer)->nlmsg_seq == request.header.nlmsg_seq)
            break;
    }
    if (received < static_cast<ssize_t>(sizeof(nlmsghdr)))
        return fail(received < 0 ? errno : EIO, "RTM_GETROUTE", destination.to_string());
    const auto* header = reinterpret_cast<const nlmsghdr*>(buffer);
    if (header->nlmsg_type == NLMSG_ERROR)
        return fail(-reinterpret_cast<const nlmsgerr*>(buffer + NLMSG_HDRLEN)->error, "RTM_GETROUTE",
                    destination.to_string());

    const auto* message = reinterpret_cast<const rtmsg*>(buffer + NLMSG_HDRLEN);
    Route route;
    route.local = message->rtm_type == RTN_LOCAL;
    const auto address = [&](const rtattr* value) {
        const Address built(nl_addr_build(v4 ? AF_INET : AF_INET6, RTA_DATA(value), bytes));
        return to_ip(built.get()).value_or(IpAddress{});
    };
    auto left = static_cast<unsigned>(RTM_PAYLOAD(header));
    for (const rtattr* value = RTM_RTA(message); RTA_OK(value, left); value = RTA_NEXT(value, left)) {
        if (value->rta_type == RTA_OIF)
            std::memcpy(&route.ifindex, RTA_DATA(value), sizeof route.ifindex);
        else if (value->rta_type == RTA_GATEWAY && RTA_PAYLOAD(value) == bytes)
            route.gateway = address(value);
        else if (value->rta_type == RTA_VIA)
            route.gateway = IpAddress{};  // a gateway of the other family: that it is one is what matters
        else if (value->rta_type == RTA_PREFSRC && RTA_PAYLOAD(value) == bytes)
            route.source = address(value);
    }
    return route;
}

Result<std::vector<unsigned>> Network::default_uplinks()
{
    auto routes = dump([&](nl_cache** out) { return rtnl_route_alloc_cache(state_->request.get(), AF_UNSPEC, 0, out); },
                       "route dump");
    if (!routes)
        return std::unexpected(routes.error());
    std::vector<unsigned> uplinks;
    for (nl_object* item = nl_cache_get_first(routes->get()); item != nullptr; item = nl_cache_get_next(item)) {
        auto* route = reinterpret_cast<rtnl_route*>(item);
        nl_addr* destination = rtnl_route_get_dst(route);
        if (rtnl_route_get_type(route) != RTN_UNICAST || rtnl_route_get_table(route) != RT_TABLE_MAIN ||
            (destination != nullptr && nl_addr_get_prefixlen(destination) != 0))
            continue;
        for (int hop = 0; hop < rtnl_route_get_nnexthops(route); ++hop)
            uplinks.push_back(static_cast<unsigned>(rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, hop))));
    }
    if (uplinks.empty()) {
        const auto all = links();
        if (!all)
            return std::unexpected(all.error());
        for (const Link& link : *all) {
            if (link.up && !link.loopback && !link.addresses.empty())
                uplinks.push_back(link.ifindex);
        }
    }
    std::ranges::sort(uplinks);
    const auto repeated = std::ranges::unique(uplinks);
    uplinks.erase(repeated.begin(), repeated.end());
    return uplinks;
}

Result<Network::Local> Network::add_local_address(const IpAddress& address, std::optional<unsigned> lifetime_s)
{
    if (auto up = state_->bring_loopback_up(); !up)
        return std::unexpected(up.error());
    auto object = state_->local_address(address, lifetime_s);
    if (!object)
        return std::unexpected(object.error());
    const int error = state_->put(object->get(), NLM_F_EXCL);
    if (error == -NLE_EXIST)
        return state_->is_of_agent(address) ? Local::OfAgent : Local::OfOperator;
    if (error != 0)
        return nl_fail(error, "add address to lo", address.to_string());
    return Local::Added;
}

Result<void> Network::extend_local_address(const IpAddress& address, std::optional<unsigned> lifetime_s)
{
    auto object = state_->local_address(address, lifetime_s);
    if (!object)
        return std::unexpected(object.error());
    if (const int error = state_->put(object->get(), NLM_F_REPLACE); error != 0)
        return nl_fail(error, "extend address on lo", address.to_string());
    return {};
}

Result<void> Network::remove_local_address(const IpAddress& address)
{
    auto object = state_->local_address(address);
    if (!object)
        return std::unexpected(object.error());
    const int error = rtnl_addr_delete(state_->request.get(), object->get(), 0);
    if (error != 0 && to_errno(error) != EADDRNOTAVAIL)
        return nl_fail(error, "remove address from lo", address.to_string());
    return {};
}

int Network::change_fd() const { return nl_socket_get_fd(state_->events.get()); }

bool Network::drain_changes()
{
    bool changed = false;
    alignas(nlmsghdr) char buffer[8192];
    for (;;) {
        const ssize_t count = ::recv(change_fd(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (count < 0 && (errno == ENOBUFS || errno == EINTR)) {
            changed = true;  // ENOBUFS: some were lost, which is a change too
            continue;
        }
        if (count <= 0)
            return changed;
        auto left = static_cast<unsigned>(count);
        for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer); NLMSG_OK(message, left);
             message = NLMSG_NEXT(message, left))
            changed = changed || !state_->is_loopback_address(*message);
    }
}

}  // namespace sluice::loader
