// SPDX-License-Identifier: Apache-2.0
// A TLS peer that a test drives byte by byte, and a proxy with TLS ports for it.
#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/proxy/tls_session.h"
#include "tests/harness/proxy_fixture.h"
#include "tests/unit/proxy/tls_fixture.h"

namespace sluice::test {

namespace tls = proxy::testing;

inline const std::string kEndOfHead = "\r\n\r\n";

// How the peer's side of a connection ends, after all that comes before: 0 with an end, else errno (ETIMEDOUT: not).
inline int end_of(int fd)
{
    char part[4'096];
    while (readable(fd)) {
        const ssize_t count = ::recv(fd, part, sizeof part, 0);
        if (count <= 0)
            return count == 0 ? 0 : errno;
    }
    return ETIMEDOUT;
}

// One end of a TLS connection that the test drives.
class TlsPeer {
public:
    static TlsPeer connect(std::uint16_t port, proxy::TlsClientOptions options)
    {
        return {Peer::connect(port), proxy::TlsSession::connect(tls::must_make(options))};
    }
    static TlsPeer accept(const Acceptor& acceptor, const proxy::TlsServerOptions& options)
    {
        return {acceptor.accept(), proxy::TlsSession::accept(tls::must_make(options))};
    }
    // False: the handshake failed.
    bool shake()
    {
        while (!session_->established() && exchange()) {
        }
        return session_->established();
    }
    void send(const std::string& text)
    {
        EXPECT_TRUE(tls::write(*session_, text));
        flush();
    }
    // In one write with close_notify: nothing follows it.
    void send_last(const std::string& text)
    {
        EXPECT_TRUE(tls::write(*session_, text));
        session_->shutdown();
        flush();
    }
    // Reads until `end` has been seen, the peer closes, or the deadline is over; all that was read.
    std::string read_until(const std::string& end)
    {
        do {
            if (const auto more = tls::read_all(*session_))
                seen_ += *more;
        } while (seen_.find(end) == std::string::npos && exchange());
        return std::exchange(seen_, {});
    }
    // The connection ends without close_notify.
    void half_close_plainly() const { peer_.half_close(); }
    [[nodiscard]] int fd() const { return peer_.fd(); }
    [[nodiscard]] const proxy::TlsSession& session() const { return *session_; }

private:
    TlsPeer(Peer peer, std::unique_ptr<proxy::TlsSession> session)
        : peer_(std::move(peer)), session_(std::move(session))
    {
        flush();
    }
    void flush()
    {
        const std::string out = session_->take_output();
        if (!out.empty())
            peer_.send(out);
    }
    bool exchange()
    {
        flush();
        char part[16'384];
        if (!readable(peer_.fd()))
            return false;
        const ssize_t count = ::recv(peer_.fd(), part, sizeof part, 0);
        if (count <= 0 || !session_->feed({part, static_cast<std::size_t>(count)}))
            return false;
        flush();
        return true;
    }
    Peer peer_;
    std::unique_ptr<proxy::TlsSession> session_;
    std::string seen_;
};

inline plan::TlsTermination termination(const std::string& name)
{
    const auto made = tls::issue_for(name);
    return {.certificates = {{"default/" + name, made.chain_pem, made.key_pem}}};
}

inline plan::HttpListener https(const std::string& hostname, const plan::HttpRule& rule)
{
    plan::HttpListener listener = listener_to(rule, "default/g/" + hostname, hostname);
    listener.tls = termination(hostname);
    return listener;
}

// As `https`, but with a key that is not the certificate's.
inline plan::HttpListener unusable_https(const std::string& hostname, const plan::HttpRule& rule)
{
    plan::HttpListener listener = https(hostname, rule);
    plan::TlsTermination bad = *listener.tls;
    bad.certificates.front().key_pem = tls::issue_for("other.example").key_pem;
    listener.tls = bad;
    return listener;
}

class TlsProxyTest : public ProxyTest {
protected:
    // On a port of its own, or on `port` once more; problems_ has what the proxy says of it.
    std::uint16_t serve_all(std::vector<plan::HttpListener> listeners, std::vector<plan::TlsHost> hosts = {},
                            std::uint16_t port = free_port())
    {
        auto plan = std::make_shared<plan::Plan>();
        const std::vector<IpAddress> addresses{*IpAddress::parse("127.0.0.1")};
        if (!listeners.empty()) {
            const bool is_tls = static_cast<bool>(listeners.front().tls);
            plan->http.push_back(
                {.addresses = addresses, .port = port, .tls = is_tls, .listeners = std::move(listeners)});
        }
        if (!hosts.empty())
            plan->tls.push_back({.addresses = addresses, .port = port, .hosts = std::move(hosts)});
        problems_ = proxy_->publish(plan, proxy::Ingress::Bound);
        return port;
    }
    static proxy::TlsClientOptions client(const std::string& name, std::vector<std::string> alpn = {})
    {
        auto options = tls::client_options(name);
        options.alpn = std::move(alpn);
        return options;
    }
    // The status of the answer to a request for `host`. A rule without backends, as `nowhere`, answers 500.
    template <class Client> static std::string status_for(Client& peer, const std::string& host)
    {
        peer.send("HEAD / HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
        const std::string answer = peer.read_until(kEndOfHead);
        const std::string_view version = "HTTP/1.1 ";
        return answer.starts_with(version) ? answer.substr(version.size(), 3) : answer;
    }
    static plan::HttpRule nowhere() { return {.name = "default/r/0"}; }
    std::vector<proxy::ListenProblem> problems_;
};

}  // namespace sluice::test
