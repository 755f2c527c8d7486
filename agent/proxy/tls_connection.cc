// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/tls_connection.h"

#include <utility>

#include "agent/plan/hostname.h"
#include "agent/proxy/client_hello.h"
#include "agent/proxy/http1_connection.h"
#include "agent/proxy/http2_connection.h"
#include "agent/proxy/server_name.h"
#include "agent/proxy/tunnel.h"

namespace sluice::proxy {
TlsConnection::TlsConnection(Worker& worker, std::unique_ptr<Stream> stream, const SocketAddress& local,
                             const SocketAddress& peer)
    : worker_(&worker),
      stream_(std::move(stream)),
      local_(local),
      peer_(peer),
      snapshot_(worker.snapshot()),
      target_(snapshot_->find(local, plan::Protocol::Tcp))
{
    stream_->set_user(this);
}

void TlsConnection::start()
{
    worker_->loop().arm(timer_, worker_->limits().header_timeout_ms);
    if (target_.tls_port == nullptr)
        return accept(target_.tls);
    stream_->recv();
}

void TlsConnection::on_stream_data(int result, Buffer buffer)
{
    if (result <= 0)
        return close();
    in_.append(std::move(buffer));
    const ClientHello hello = parse_client_hello(in_.view());
    switch (hello.status) {
    case ClientHello::Status::NeedMore: in_.keep(); return stream_->recv();
    case ClientHello::Status::NotTls: return close();
    case ClientHello::Status::Found: return choose(hello.server_name);
    }
}

void TlsConnection::choose(const std::string& server_name)
{
    host_ = most_specific(target_.tls_port->hosts, server_name);
    if (target_.http_port != nullptr) {
        const plan::HttpListener* https = most_specific(target_.http_port->listeners, server_name);
        if (https != nullptr && (host_ == nullptr || plan::is_more_specific(https->hostname, host_->hostname)))
            host_ = nullptr;
        if (https == nullptr && host_ == nullptr)
            return close();
    }
    if (host_ == nullptr)
        return target_.http_port == nullptr ? close() : accept(target_.tls);
    if (!host_->termination)
        return tunnel(std::exchange(in_, {}));
    accept(snapshot_->tls_of(*host_));
}

void TlsConnection::accept(const std::shared_ptr<const TlsServerContext>& context)
{
    if (context == nullptr)
        return close();  // its certificates cannot be used; the listener's status says so
    const Bytes first = std::exchange(in_, {});
    stream_->accept_tls(TlsSession::accept(context), first.view());
}

void TlsConnection::on_stream_connected(int result)
{
    if (result != 0)
        return close();
    if (host_ != nullptr)
        return tunnel({});
    const TlsSession& session = *stream_->tls();
    // In lower case, as the hostnames of a plan are, and as the certificate was chosen by.
    Arrival from{local_, peer_.address.to_string(), true, worker_->trusts(peer_.address),
                 plan::to_lower(session.server_name())};
    const plan::HttpListener* listener = most_specific(target_.http_port->listeners, from.server_name);
    const bool is_http2 = session.alpn() == "h2";
    if (listener != nullptr) {
        from.tls_listener = listener->name;
        from.termination = listener->tls;
    }
    if (is_http2)
        hand_on<Http2Connection>(*worker_, std::move(stream_), from, Bytes{});
    else
        hand_on<Http1Connection>(*worker_, std::move(stream_), from);
}

void TlsConnection::tunnel(Bytes first)
{
    ListenerCounters& counters = worker_->counters().of(host_->listener);
    count(counters.connections);
    hand_on<Tunnel>(*worker_, std::move(stream_), std::move(first), host_->backends, snapshot_, counters);
}

template <class Kind, class... Arguments> void TlsConnection::hand_on(Arguments&&... arguments)
{
    auto next = std::make_unique<Kind>(std::forward<Arguments>(arguments)...);
    Kind& started = *next;
    worker_->adopt(std::move(next));
    close();
    started.start();
}

void TlsConnection::on_timeout()
{
    worker_->hit(Limit::HandshakeTimeout);
    close();
}

void TlsConnection::close()
{
    if (retired())
        return;
    worker_->loop().disarm(timer_);
    if (stream_ != nullptr)
        stream_->abandon();
    worker_->retire(*this);
}

}  // namespace sluice::proxy
