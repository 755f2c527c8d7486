// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/udp_relay.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "agent/proxy/balancer.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kDatagramMax = 65'535;
constexpr int kDatagramsPerTurn = 64;  // then the others have their turn

}  // namespace

struct UdpListener::Flow {
    Flow(UdpListener& listener, const FlowKey& flow_key) : owner(&listener), key(flow_key) {}
    void on_readable(int result, Buffer)
    {
        if (result < 0 || is_ended)
            return;
        auto& data = owner->datagram_;
        for (int i = 0; i < kDatagramsPerTurn; ++i) {
            const ssize_t size = ::recv(fd.get(), data.data(), data.size(), MSG_DONTWAIT);
            if (size < 0)
                break;
            count(counters->bytes_out, static_cast<std::uint64_t>(size));
            owner->reply(*this, data.data(), static_cast<std::size_t>(size));
        }
        owner->worker_->loop().wait_readable(fd.get(), readable);
    }
    void on_idle() { owner->end_flow(*this); }

    UdpListener* owner;
    FlowKey key;
    SocketAddress endpoint;
    ListenerCounters* counters = nullptr;
    UniqueFd fd;
    bool is_ended = false;  // what was on its way when it was cancelled may still complete
    BoundCompletion<Flow> readable{*this, &Flow::on_readable};
    BoundTimer<Flow> idle{*this, &Flow::on_idle};
};

UdpListener::UdpListener(Worker& worker, UniqueFd fd, const SocketAddress& local)
    : worker_(&worker), fd_(std::move(fd)), local_(local), datagram_(kDatagramMax)
{
}

UdpListener::~UdpListener()
{
    for (auto& [key, flow] : flows_)
        close(*flow);
    for (auto& flow : ended_)
        close(*flow);
    worker_->loop().close(std::move(fd_));
}

void UdpListener::start() { worker_->loop().wait_readable(fd_.get(), readable_); }

void UdpListener::close(Flow& flow)
{
    worker_->loop().close(std::move(flow.fd));
    --worker_->udp_flows();
}

void UdpListener::close()
{
    closing_ = true;
    worker_->loop().cancel(readable_);
    while (!flows_.empty())
        end_flow(*flows_.begin()->second);
}

bool UdpListener::quiet() const
{
    return !readable_.pending() && std::ranges::none_of(ended_, [](const auto& f) { return f->readable.pending(); });
}

void UdpListener::on_readable(int result, Buffer)
{
    if (result < 0 || closing_)
        return;
    for (int i = 0; i < kDatagramsPerTurn && receive_one(); ++i) {
    }
    start();
}

bool UdpListener::receive_one()
{
    sockaddr_in6 from{};
    iovec span{datagram_.data(), datagram_.size()};
    alignas(cmsghdr) char control[128];
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &span;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
    if (size < 0)
        return false;
    IpAddress to = local_.address;
    for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item)) {
        if (item->cmsg_level != IPPROTO_IPV6 || item->cmsg_type != IPV6_PKTINFO)
            continue;
        in6_pktinfo info{};
        std::memcpy(&info, CMSG_DATA(item), sizeof info);
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &info.ipi6_addr, bytes.size());
        to = IpAddress::from_bytes(bytes);
    }
    const auto client = SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&from));
    Flow* flow = client && !is_loop(*client, to) ? flow_of({*client, to}) : nullptr;
    if (flow == nullptr)
        return true;
    worker_->loop().arm(flow->idle, worker_->limits().udp_idle_timeout_ms);
    count(flow->counters->bytes_in, static_cast<std::uint64_t>(size));
    [[maybe_unused]] const ssize_t sent =
        ::send(flow->fd.get(), datagram_.data(), static_cast<std::size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
    return true;
}

// Whether the answer would be another listener's request, and that one's answer ours, for ever.
bool UdpListener::is_loop(const SocketAddress& client, const IpAddress& to) const
{
    const auto* listener = worker_->snapshot()->find(client, plan::Protocol::Udp).l4;
    return listener != nullptr && (!listener->addresses.empty() || client.address == to);
}

// The client's flow, made where it is new. nullptr: the datagram is dropped, and counted as refused.
UdpListener::Flow* UdpListener::flow_of(const FlowKey& key)
{
    const auto target = worker_->snapshot()->find(local_, plan::Protocol::Udp);
    if (target.l4 == nullptr)
        return nullptr;
    const auto known = flows_.find(key);
    if (known != flows_.end()) {
        const bool still_there = std::ranges::any_of(target.l4->backends, [&](const plan::Backend& backend) {
            return std::ranges::find(backend.endpoints, known->second->endpoint) != backend.endpoints.end();
        });
        if (still_there)
            return known->second.get();
        end_flow(*known->second);
    }
    return open_flow(key, *target.l4);
}

UdpListener::Flow* UdpListener::open_flow(const FlowKey& key, const plan::L4Listener& listener)
{
    ListenerCounters& counters = worker_->counters().of(listener.name);
    const plan::Backend* backend = pick_backend(listener.backends, *worker_);
    const bool is_full = worker_->udp_flows() >= worker_->limits().udp_flows_max;
    if (is_full)
        worker_->hit(Limit::UdpFlows);
    const bool possible = backend != nullptr && backend->valid && !backend->endpoints.empty() && !is_full;
    auto flow = std::make_unique<Flow>(*this, key);
    if (possible) {
        flow->endpoint = pick_endpoint(*backend, *worker_);
        sockaddr_storage address{};
        const socklen_t length = flow->endpoint.to_sockaddr(address);
        flow->fd.reset(::socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (flow->fd.valid() && ::connect(flow->fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0)
            flow->fd.reset();
    }
    if (!flow->fd.valid()) {
        count(counters.refused);
        return nullptr;
    }
    count(counters.connections);
    ++worker_->udp_flows();
    flow->counters = &counters;
    worker_->loop().wait_readable(flow->fd.get(), flow->readable);
    return (flows_[key] = std::move(flow)).get();
}

// From the address that the client sent to, which is not always the one routing would pick.
void UdpListener::reply(const Flow& flow, const char* data, std::size_t size)
{
    sockaddr_in6 to = flow.key.first.to_sockaddr6();
    iovec span{const_cast<char*>(data), size};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
    msghdr message{};
    message.msg_name = &to;
    message.msg_namelen = sizeof to;
    message.msg_iov = &span;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* item = CMSG_FIRSTHDR(&message);
    item->cmsg_level = IPPROTO_IPV6;
    item->cmsg_type = IPV6_PKTINFO;
    item->cmsg_len = CMSG_LEN(sizeof(in6_pktinfo));
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, flow.key.second.bytes().data(), sizeof info.ipi6_addr);
    std::memcpy(CMSG_DATA(item), &info, sizeof info);
    [[maybe_unused]] const ssize_t sent = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void UdpListener::end_flow(Flow& flow)
{
    flow.is_ended = true;
    worker_->loop().disarm(flow.idle);
    worker_->loop().cancel(flow.readable);
    const auto found = flows_.find(flow.key);
    ended_.push_back(std::move(found->second));
    flows_.erase(found);
}

void UdpListener::bury()
{
    std::erase_if(ended_, [&](const std::unique_ptr<Flow>& flow) {
        if (flow->readable.pending())
            return false;
        close(*flow);
        return true;
    });
}

}  // namespace sluice::proxy
