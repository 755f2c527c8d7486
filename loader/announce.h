// SPDX-License-Identifier: Apache-2.0
// Tells the links' neighbours that an address is here now: ARP announcements (RFC 5227 section 2.3) and unsolicited
// neighbour advertisements (RFC 4861 section 7.2.6). The kernel answers who asks for a local address, but who has
// another node in its cache does not ask. Needs CAP_NET_RAW. Used by the control thread alone.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::loader {

constexpr unsigned kAnnouncements = 3;             // MAX_NEIGHBOR_ADVERTISEMENT
constexpr std::uint64_t kAnnounceEveryMs = 1'000;  // RetransTimer, at which three are out within two seconds

class Announcer {
public:
    [[nodiscard]] static Result<std::unique_ptr<Announcer>> make();

    // Announces a local address on these links now, and again each time that is due. Links that are not Ethernet are
    // passed over. An error (ENETDOWN, ENODEV) is the first of several, and ends none of the others.
    [[nodiscard]] Result<void> announce(const IpAddress& address, std::vector<unsigned> ifindexes);
    // No more of it: it is another node's, which announces it too.
    void withdraw(const IpAddress& address) { pending_.erase(address); }

    [[nodiscard]] int due_fd() const { return timer_.get(); }  // readable (epoll) when some are due
    [[nodiscard]] Result<void> send_due();

private:
    struct Pending {
        std::vector<unsigned> ifindexes;
        unsigned left;
        std::uint64_t due_ms;
    };
    Announcer(UniqueFd socket, UniqueFd timer) : socket_(std::move(socket)), timer_(std::move(timer)) {}
    [[nodiscard]] Result<void> send(const IpAddress& address, const std::vector<unsigned>& ifindexes) const;
    [[nodiscard]] Result<void> send_on(const IpAddress& address, unsigned ifindex) const;
    void arm() const;

    UniqueFd socket_;  // AF_PACKET, of no protocol: it receives nothing
    UniqueFd timer_;
    std::map<IpAddress, Pending> pending_;
};

}  // namespace sluice::loader
