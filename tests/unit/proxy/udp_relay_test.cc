// SPDX-License-Identifier: Apache-2.0
// UDP through a real proxy: flows, what becomes of them when their backend leaves the plan, and how many there may be.
#include "tests/harness/held_worker.h"

namespace sluice::test {
namespace {

// A UDP socket on loopback.
class Datagrams {
public:
    Datagrams() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in at{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
        socklen_t size = sizeof at;
        getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&at), &size);
        port_ = ntohs(at.sin_port);
    }
    void send_to(std::uint16_t port, const std::string& text) const
    {
        sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        EXPECT_EQ(::sendto(fd_.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
                  static_cast<ssize_t>(text.size()));
    }
    // The next datagram; empty: none came in time. `from`: its sender's port.
    std::string receive(std::uint16_t* from = nullptr, int wait_ms = kWaitMs) const
    {
        char text[64];
        sockaddr_in sender{};
        socklen_t size = sizeof sender;
        if (!readable(fd_.get(), wait_ms))
            return "";
        const ssize_t count = ::recvfrom(fd_.get(), text, sizeof text, 0, reinterpret_cast<sockaddr*>(&sender), &size);
        if (from != nullptr)
            *from = ntohs(sender.sin_port);
        return {text, static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
    }
    [[nodiscard]] std::uint16_t port() const { return port_; }

private:
    UniqueFd fd_;
    std::uint16_t port_ = 0;
};

class UdpRelay : public ProxyTest {
protected:
    // UDP listeners on ports of their own, all of one backend endpoint.
    void serve_udp(const std::vector<std::uint16_t>& ports, const Datagrams& to,
                   const std::map<std::string, std::string>& taken = {})
    {
        auto plan = std::make_shared<plan::Plan>();
        for (const std::uint16_t port : ports) {
            plan->l4.push_back({.name = "default/g/udp" + std::to_string(port),
                                .addresses = {*IpAddress::parse("127.0.0.1")},
                                .port = port,
                                .protocol = plan::Protocol::Udp,
                                .route = "default/r",
                                .backends = {backend({at(to.port())})}});
        }
        EXPECT_TRUE(proxy_->publish(plan, proxy::Ingress::Bound, taken).empty());
    }
};

TEST_P(UdpRelay, EachClientHasAFlowOfItsOwn)
{
    const std::uint16_t port = Datagrams().port();
    const Datagrams backend, one, two;
    serve_udp({port}, backend);
    std::uint16_t flow_of_one = 0;
    std::uint16_t flow_of_two = 0;
    one.send_to(port, "one");
    EXPECT_EQ(backend.receive(&flow_of_one), "one");
    two.send_to(port, "two");
    EXPECT_EQ(backend.receive(&flow_of_two), "two");
    backend.send_to(flow_of_two, "to two");
    backend.send_to(flow_of_one, "to one");
    EXPECT_EQ(one.receive(), "to one");
    EXPECT_EQ(two.receive(), "to two");
}

TEST_P(UdpRelay, WhatComesFromAListenersOwnAddressAndPortIsDropped)
{
    const std::uint16_t port = Datagrams().port();
    const Datagrams backend, forged, client;
    serve_udp({port, forged.port()}, backend, {{"default/g/udp" + std::to_string(forged.port()), "another's"}});
    forged.send_to(port, "forged");
    client.send_to(port, "honest");
    EXPECT_EQ(backend.receive(), "honest");
}

// The old backend's datagram is in the worker's turn already when the client's own ends the flow.
TEST_P(UdpRelay, AFlowWhoseBackendLeftThePlanIsOver)
{
    const std::uint16_t port = Datagrams().port();
    const Datagrams before, after, client;
    serve_udp({port}, before);
    client.send_to(port, "1");
    std::uint16_t flow = 0;
    ASSERT_EQ(before.receive(&flow), "1");
    serve_udp({port}, after);
    {
        const HeldWorker held;
        client.send_to(port, "2");
        before.send_to(flow, "of the old one");
    }
    ASSERT_EQ(after.receive(&flow), "2");
    after.send_to(flow, "of the new one");
    EXPECT_EQ(client.receive(), "of the new one");
}

TEST_P(UdpRelay, FlowsAreBoundedOverAllListeners)
{
    start({.udp_flows_max = 2});
    const std::uint16_t first = Datagrams().port();
    const std::uint16_t second = Datagrams().port();
    const Datagrams backend, one, two, three;
    serve_udp({first, second}, backend);
    one.send_to(first, "one");
    EXPECT_EQ(backend.receive(), "one");
    two.send_to(second, "two");
    EXPECT_EQ(backend.receive(), "two");
    three.send_to(second, "three");
    two.send_to(second, "two again");
    EXPECT_EQ(backend.receive(), "two again");
    EXPECT_EQ(proxy_->limit_hits().at("udp_flows"), 1U);
    // The place of a flow that has ended is free again.
    serve_udp({second}, backend);
    const std::uint64_t deadline = monotonic_ms() + kWaitMs;
    std::string seen;
    while (seen.empty() && monotonic_ms() < deadline) {
        three.send_to(second, "three");
        seen = backend.receive(nullptr, 20);
    }
    EXPECT_EQ(seen, "three");
}

INSTANTIATE_TEST_SUITE_P(Io, UdpRelay, testing::Values(proxy::IoKind::IoUring, proxy::IoKind::Epoll), io_name);

}  // namespace
}  // namespace sluice::test
