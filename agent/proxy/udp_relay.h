// SPDX-License-Identifier: Apache-2.0
// Relays the datagrams of one UDP listener: a connected socket to a backend for each (client, local address), bounded
// in number and idle time. A flow whose backend has left the plan moves at once.
#pragma once

#include <map>
#include <vector>

#include "agent/proxy/listener.h"

namespace sluice::proxy {

class UdpListener final : public Listener {
public:
    // `local` names the listener in the plan: its port, and its address or "::" for every address.
    UdpListener(Worker& worker, UniqueFd fd, const SocketAddress& local);
    ~UdpListener() override;
    void start() override;
    void close() override;
    [[nodiscard]] bool quiet() const override;
    void bury() override;

private:
    struct Flow;
    using FlowKey = std::pair<SocketAddress, IpAddress>;  // client, local address

    void on_readable(int result, Buffer buffer);
    bool receive_one();
    [[nodiscard]] bool is_loop(const SocketAddress& client, const IpAddress& to) const;
    Flow* flow_of(const FlowKey& key);
    Flow* open_flow(const FlowKey& key, const plan::L4Listener& listener);
    void reply(const Flow& flow, const char* data, std::size_t size);
    void end_flow(Flow& flow);
    void close(Flow& flow);

    Worker* worker_;
    UniqueFd fd_;
    SocketAddress local_;
    bool closing_ = false;
    std::map<FlowKey, std::unique_ptr<Flow>> flows_;
    std::vector<std::unique_ptr<Flow>> ended_;
    std::vector<char> datagram_;
    BoundCompletion<UdpListener> readable_{*this, &UdpListener::on_readable};
};

}  // namespace sluice::proxy
