// SPDX-License-Identifier: Apache-2.0
#include "loader/announce.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

namespace sluice::loader {
namespace {

using Mac = std::array<std::uint8_t, ETH_ALEN>;
constexpr Mac kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr Mac kAllNodesMac{0x33, 0x33, 0, 0, 0, 1};  // of ff02::1

struct __attribute__((packed)) ArpFrame {
    ether_header ethernet;
    ether_arp arp;
};

struct __attribute__((packed)) AdvertisementFrame {
    ether_header ethernet;
    ip6_hdr ip;
    nd_neighbor_advert advertisement;
    nd_opt_hdr option;
    Mac mac;
};

std::uint64_t now_ms()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

ether_header ethernet_header(const Mac& from, const Mac& to, std::uint16_t type)
{
    ether_header header{};
    std::ranges::copy(to, header.ether_dhost);
    std::ranges::copy(from, header.ether_shost);
    header.ether_type = htons(type);
    return header;
}

// Sender and target are the address itself. As a request, which is what RFC 5227 asks for, or as a reply, which is what
// some routers learn from.
ArpFrame arp_frame(const IpAddress& address, const Mac& mac, std::uint16_t operation)
{
    ArpFrame frame{};
    frame.ethernet = ethernet_header(mac, kBroadcast, ETHERTYPE_ARP);
    frame.arp.ea_hdr.ar_hrd = htons(ARPHRD_ETHER);
    frame.arp.ea_hdr.ar_pro = htons(ETHERTYPE_IP);
    frame.arp.ea_hdr.ar_hln = ETH_ALEN;
    frame.arp.ea_hdr.ar_pln = 4;
    frame.arp.ea_hdr.ar_op = htons(operation);
    const std::uint32_t ip = address.v4_be();
    std::ranges::copy(mac, frame.arp.arp_sha);
    std::memcpy(frame.arp.arp_spa, &ip, sizeof ip);
    if (operation == ARPOP_REPLY)
        std::ranges::copy(mac, frame.arp.arp_tha);
    std::memcpy(frame.arp.arp_tpa, &ip, sizeof ip);
    return frame;
}

std::uint32_t sum_words(std::span<const std::uint8_t> bytes)
{
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
        sum += static_cast<std::uint32_t>(bytes[i]) << 8 | bytes[i + 1];
    return sum;
}

AdvertisementFrame advertisement_frame(const IpAddress& address, const Mac& mac)
{
    constexpr std::size_t kPayload = sizeof(nd_neighbor_advert) + sizeof(nd_opt_hdr) + ETH_ALEN;
    AdvertisementFrame frame{};
    frame.ethernet = ethernet_header(mac, kAllNodesMac, ETHERTYPE_IPV6);
    frame.ip.ip6_flow = htonl(6U << 28);
    frame.ip.ip6_plen = htons(kPayload);
    frame.ip.ip6_nxt = IPPROTO_ICMPV6;
    frame.ip.ip6_hlim = 255;  // what came through a router is not believed
    std::memcpy(&frame.ip.ip6_src, address.bytes().data(), sizeof frame.ip.ip6_src);
    inet_pton(AF_INET6, "ff02::1", &frame.ip.ip6_dst);
    frame.advertisement.nd_na_type = ND_NEIGHBOR_ADVERT;
    frame.advertisement.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
    frame.advertisement.nd_na_target = frame.ip.ip6_src;
    frame.option.nd_opt_type = ND_OPT_TARGET_LINKADDR;
    frame.option.nd_opt_len = 1;  // in units of 8 bytes
    frame.mac = mac;
    std::array<std::uint8_t, sizeof frame> bytes{};
    std::memcpy(bytes.data(), &frame, sizeof frame);
    // The pseudo-header is the two addresses, the length and the protocol (RFC 8200 section 8.1).
    const std::span<const std::uint8_t> all(bytes);
    std::uint32_t sum = sum_words(all.subspan(offsetof(AdvertisementFrame, ip) + offsetof(ip6_hdr, ip6_src))) +
                        kPayload + IPPROTO_ICMPV6;
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    frame.advertisement.nd_na_cksum = htons(static_cast<std::uint16_t>(~sum));
    return frame;
}

}  // namespace

Result<std::unique_ptr<Announcer>> Announcer::make()
{
    UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.valid())
        return fail(errno, "socket", "AF_PACKET");
    UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!timer.valid())
        return fail(errno, "timerfd_create", "announcements");
    return std::unique_ptr<Announcer>(new Announcer(std::move(socket), std::move(timer)));
}

Result<void> Announcer::announce(const IpAddress& address, std::vector<unsigned> ifindexes)
{
    auto sent = send(address, ifindexes);
    pending_.insert_or_assign(address, Pending{std::move(ifindexes), kAnnouncements - 1, now_ms() + kAnnounceEveryMs});
    arm();
    return sent;
}

Result<void> Announcer::send_due()
{
    std::uint64_t expirations = 0;
    [[maybe_unused]] const ssize_t count = ::read(timer_.get(), &expirations, sizeof expirations);
    const std::uint64_t now = now_ms();
    Result<void> result;
    for (auto& [address, pending] : pending_) {
        if (pending.due_ms > now)
            continue;
        if (auto sent = send(address, pending.ifindexes); !sent && result)
            result = std::move(sent);
        --pending.left;
        pending.due_ms = now + kAnnounceEveryMs;
    }
    std::erase_if(pending_, [](const auto& one) { return one.second.left == 0; });
    arm();
    return result;
}

Result<void> Announcer::send(const IpAddress& address, const std::vector<unsigned>& ifindexes) const
{
    Result<void> result;
    for (const unsigned ifindex : ifindexes)
        if (auto sent = send_on(address, ifindex); !sent && result)
            result = std::move(sent);
    return result;
}

Result<void> Announcer::send_on(const IpAddress& address, unsigned ifindex) const
{
    ifreq link{};
    if (if_indextoname(ifindex, link.ifr_name) == nullptr)
        return fail(ENODEV, "announce", address.to_string() + " on link " + std::to_string(ifindex));
    const std::string subject = address.to_string() + " on " + link.ifr_name;
    if (::ioctl(socket_.get(), SIOCGIFHWADDR, &link) != 0)
        return fail(errno, "SIOCGIFHWADDR", subject);
    if (link.ifr_hwaddr.sa_family != ARPHRD_ETHER)
        return {};
    Mac mac{};
    std::memcpy(mac.data(), link.ifr_hwaddr.sa_data, mac.size());

    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(ifindex);
    to.sll_halen = ETH_ALEN;
    const auto send_frame = [&](const auto& frame) -> Result<void> {
        to.sll_protocol = frame.ethernet.ether_type;
        std::ranges::copy(frame.ethernet.ether_dhost, to.sll_addr);
        const auto* name = reinterpret_cast<const sockaddr*>(&to);
        if (::sendto(socket_.get(), &frame, sizeof frame, 0, name, sizeof to) < 0)
            return fail(errno, "announce", subject);
        return {};
    };
    if (!address.is_v4())
        return send_frame(advertisement_frame(address, mac));
    for (const std::uint16_t operation : std::to_array<std::uint16_t>({ARPOP_REQUEST, ARPOP_REPLY}))
        if (auto sent = send_frame(arp_frame(address, mac, operation)); !sent)
            return sent;
    return {};
}

void Announcer::arm() const
{
    std::uint64_t due_ms = 0;
    for (const auto& [address, pending] : pending_)
        due_ms = due_ms == 0 ? pending.due_ms : std::min(due_ms, pending.due_ms);
    itimerspec alarm{};  // all zero: disarmed
    alarm.it_value.tv_sec = static_cast<time_t>(due_ms / 1000);
    alarm.it_value.tv_nsec = static_cast<long>(due_ms % 1000 * 1'000'000);
    timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &alarm, nullptr);
}

}  // namespace sluice::loader
