// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/tls_contexts.h"

namespace sluice::proxy {
namespace {

// A text that differs whenever a part does: each with its length before it.
class Key {
public:
    Key& add(const std::string& part)
    {
        text_ += std::to_string(part.size());
        text_ += ':';
        text_ += part;
        return *this;
    }
    template <class Parts> Key& add_all(const Parts& parts)
    {
        add(std::to_string(parts.size()));
        for (const std::string& part : parts)
            add(part);
        return *this;
    }
    [[nodiscard]] const std::string& text() const { return text_; }

private:
    std::string text_;
};

std::string key_of(const TlsServerOptions& options)
{
    Key key;
    key.add_all(options.alpn);
    std::map<std::string_view, std::size_t> client_cas;  // large and often shared: each stands in the key once
    for (const TlsServerOptions::Host& host : options.hosts) {
        const auto [client_ca, is_new] = client_cas.try_emplace(host.client_ca_pem, client_cas.size());
        key.add(host.hostname).add(std::to_string(static_cast<int>(host.client_auth)));
        key.add(std::to_string(client_ca->second));
        if (is_new)
            key.add(host.client_ca_pem);
        key.add(std::to_string(host.certificates.size()));
        for (const TlsCertificate& certificate : host.certificates)
            key.add(certificate.chain_pem).add(certificate.key_pem);
    }
    return key.text();
}

TlsClientAuth client_auth(plan::ClientAuth wanted)
{
    switch (wanted) {
    case plan::ClientAuth::None: return TlsClientAuth::None;
    case plan::ClientAuth::Optional: return TlsClientAuth::Unverified;
    case plan::ClientAuth::Required: break;
    }
    return TlsClientAuth::Required;
}

void add_host(TlsServerOptions& options, const std::string& hostname, const plan::TlsTermination& termination)
{
    TlsServerOptions::Host host{.hostname = hostname,
                                .client_auth = client_auth(termination.client_auth),
                                .client_ca_pem = termination.client_ca_pem};
    for (const plan::TlsCertificate& certificate : termination.certificates)
        host.certificates.push_back({certificate.chain_pem, certificate.key_pem});
    options.hosts.push_back(std::move(host));
}

}  // namespace

Result<TlsContexts::Server> TlsContexts::server(const TlsServerOptions& options)
{
    Server& known = servers_[key_of(options)];
    if (known == nullptr) {
        auto made = TlsServerContext::make(options);
        if (!made) {
            servers_.erase(key_of(options));
            return std::unexpected(made.error());
        }
        known = *std::move(made);
    }
    return known;
}

Result<TlsContexts::Server> TlsContexts::of(const plan::HttpPort& port)
{
    TlsServerOptions options;
    options.alpn = {"h2", "http/1.1", "http/1.0"};
    options.ticket_keys = tickets_;
    for (const plan::HttpListener& listener : port.listeners) {
        if (listener.tls)
            add_host(options, listener.hostname, *listener.tls);
    }
    return server(options);
}

Result<TlsContexts::Server> TlsContexts::of(const plan::TlsHost& host)
{
    TlsServerOptions options;
    options.ticket_keys = tickets_;
    add_host(options, host.hostname, *host.termination);
    return server(options);
}

Result<TlsContexts::Client> TlsContexts::of(const plan::BackendTls& backend, std::optional<plan::AppProtocol> protocol)
{
    TlsClientOptions options;
    options.ca_pem = backend.ca_pem;
    options.server_name = backend.hostname;
    options.accepted_names = backend.dns_sans;
    options.accepted_uris = backend.uri_sans;
    if (backend.client_certificate)
        options.certificate = {backend.client_certificate->chain_pem, backend.client_certificate->key_pem};
    if (protocol)
        options.alpn = {*protocol == plan::AppProtocol::Http2 ? "h2" : "http/1.1"};
    const std::string key = Key()
                                .add(options.ca_pem)
                                .add(options.server_name)
                                .add_all(options.accepted_names)
                                .add_all(options.accepted_uris)
                                .add(options.certificate.chain_pem)
                                .add(options.certificate.key_pem)
                                .add_all(options.alpn)
                                .text();
    if (const auto known = clients_.find(key); known != clients_.end())
        return known->second;
    auto made = TlsClientContext::make(options);
    if (made)
        clients_[key] = *made;
    return made;
}

void TlsContexts::sweep(std::uint64_t now_ms)
{
    const auto is_unused = [](const auto& entry) { return entry.second.use_count() == 1; };
    std::erase_if(servers_, is_unused);
    std::erase_if(clients_, is_unused);
    if (rotated_ms_ == 0)
        rotated_ms_ = now_ms;
    if (now_ms - rotated_ms_ >= kTlsTicketSeconds * 1000ULL) {
        rotated_ms_ = now_ms;
        tickets_->rotate();
    }
}

}  // namespace sluice::proxy
