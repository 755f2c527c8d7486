// SPDX-License-Identifier: Apache-2.0
// The server's side: one library context a host, with its certificates and what it asks of clients. A session begins
// with the base and moves to its host's when the ClientHello has named it.
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "agent/plan/hostname.h"
#include "agent/proxy/tls_library.h"
#include "agent/proxy/tls_tickets.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kNameMax = 255;

// A ticket is good for the host that it was made for only, and only while the same is asked of clients.
void set_resumption_scope(SSL_CTX* context, const TlsServerOptions::Host& host)
{
    const std::string scope = plan::to_lower(host.hostname) + '\0' +
                              std::to_string(static_cast<int>(host.client_auth)) + '\0' + host.client_ca_pem;
    std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
    SHA256(reinterpret_cast<const std::uint8_t*>(scope.data()), scope.size(), digest.data());
    SSL_CTX_set_session_id_context(context, digest.data(), digest.size());
}

std::string name_of(const TlsServerOptions::Host& host)
{
    return host.hostname.empty() ? "any host" : plan::to_lower(host.hostname);
}

// The client CAs of a context's hosts, which often share one: a PEM text is parsed once. Stores are counted, and live
// on in the library contexts that were given them.
class ClientCas {
public:
    // Null: the host asks for no certificate.
    Result<x509_store_st*> of(const TlsServerOptions::Host& host)
    {
        if (host.client_auth == TlsClientAuth::None)
            return nullptr;
        if (host.client_ca_pem.empty())
            return fail(0, "client CA", "client certificates are asked for, but no CA is given");
        auto known = stores_.find(host.client_ca_pem);
        if (known == stores_.end())
            known = stores_.emplace(host.client_ca_pem, tls::make_store(host.client_ca_pem, "client CA")).first;
        if (!known->second)
            return std::unexpected(known->second.error());
        return known->second->get();
    }

private:
    std::map<std::string_view, Result<tls::StorePtr>> stores_;  // by the options' text
};

}  // namespace

// What the library calls; the context is the application data of each of its library contexts.
struct TlsServerCallbacks {
    static const TlsServerContext& of(const SSL* ssl)
    {
        return *static_cast<const TlsServerContext*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0));
    }

    static int select_host(SSL* ssl, int* alert, void*)
    {
        const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        SSL_CTX* host = of(ssl).find_host(name == nullptr ? "" : name);
        if (host == nullptr || SSL_set_SSL_CTX(ssl, host) == nullptr) {
            *alert = SSL_AD_UNRECOGNIZED_NAME;
            return SSL_TLSEXT_ERR_ALERT_FATAL;
        }
        // The library takes certificates, trust and resumption scope from the new context, but not this.
        SSL_set_verify(ssl, SSL_CTX_get_verify_mode(host), nullptr);
        return SSL_TLSEXT_ERR_OK;
    }

    static int select_alpn(SSL* ssl, const std::uint8_t** out, std::uint8_t* out_size, const std::uint8_t* offered,
                           unsigned offered_size, void*)
    {
        const std::string& ours = of(ssl).alpn_wire_;
        std::uint8_t* selected = nullptr;
        const int rc = SSL_select_next_proto(&selected, out_size, reinterpret_cast<const std::uint8_t*>(ours.data()),
                                             static_cast<unsigned>(ours.size()), offered, offered_size);
        *out = selected;
        return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
    }

    static int ticket_key(SSL* ssl, std::uint8_t* name, std::uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac,
                          int encrypt)
    {
        constexpr int kFailed = -1;
        constexpr int kUnknown = 0;
        constexpr int kOpened = 1;
        constexpr int kOpenedRenew = 2;
        const TlsTicketKeys& keys = *of(ssl).ticket_keys_;
        const TlsTicketKey newest = keys.current();
        if (encrypt == 1) {
            std::ranges::copy(newest.name, name);
            RAND_bytes(iv, EVP_MAX_IV_LENGTH);
            return start_ticket(newest, iv, cipher, hmac, 1) ? kOpened : kFailed;
        }
        const auto key = keys.find(std::span<const std::uint8_t, 16>(name, 16));
        if (!key)
            return kUnknown;
        if (!start_ticket(*key, iv, cipher, hmac, 0))
            return kFailed;
        return key->name == newest.name ? kOpened : kOpenedRenew;
    }

    static bool start_ticket(const TlsTicketKey& key, const std::uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac,
                             int encrypt)
    {
        return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.encryption.data(), iv, encrypt) == 1 &&
               HMAC_Init_ex(hmac, key.authentication.data(), key.authentication.size(), EVP_sha256(), nullptr) == 1;
    }

    // For Unverified: the result is kept with the session, the handshake goes on.
    static int verify_without_refusal(X509_STORE_CTX* store, void*)
    {
        X509_verify_cert(store);
        return 1;
    }
};

void TlsServerContext::Free::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }
TlsServerContext::~TlsServerContext() = default;

TlsServerContext::Owned TlsServerContext::make_context(const TlsServerOptions& options)
{
    Owned owned(tls::make_context(true, options.min_version).release());
    SSL_CTX* context = owned.get();
    SSL_CTX_set_ex_data(context, 0, this);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (ticket_keys_ == nullptr) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    } else {
        SSL_CTX_set_tlsext_ticket_key_cb(context, TlsServerCallbacks::ticket_key);
        SSL_CTX_set_timeout(context, kTlsTicketSeconds);
        SSL_CTX_set_session_psk_dhe_timeout(context, kTlsTicketSeconds);
        SSL_CTX_set_num_tickets(context, 1);  // each costs the client's every connection; one is enough to come back
    }
    if (!alpn_wire_.empty())
        SSL_CTX_set_alpn_select_cb(context, TlsServerCallbacks::select_alpn, nullptr);
    return owned;
}

// `client_ca` is null where the host asks for no certificate.
Result<TlsServerContext::Owned> TlsServerContext::make_host(const TlsServerOptions& options,
                                                            const TlsServerOptions::Host& host,
                                                            x509_store_st* client_ca)
{
    const std::string what = name_of(host);
    if (host.hostname.size() > kNameMax)
        return fail(0, "TLS host", what.substr(0, kNameMax) + ": longer than 255 bytes");
    if (host.certificates.empty())
        return fail(0, "TLS host", what + ": no certificate");
    Owned context = make_context(options);
    set_resumption_scope(context.get(), host);
    if (client_ca != nullptr) {
        const bool required = host.client_auth == TlsClientAuth::Required;
        SSL_CTX_set1_cert_store(context.get(), client_ca);
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
        if (host.client_auth == TlsClientAuth::Unverified)
            SSL_CTX_set_cert_verify_callback(context.get(), TlsServerCallbacks::verify_without_refusal, nullptr);
    }
    std::set<int> kinds;
    for (const TlsCertificate& certificate : host.certificates) {
        const auto pair = tls::parse_key_pair(certificate, what);
        if (!pair)
            return std::unexpected(pair.error());
        if (!kinds.insert(EVP_PKEY_id(pair->key.get())).second) {
            warnings_.push_back(what + ": a second certificate of the same kind is not used");
            continue;
        }
        if (!pair->warning.empty())
            warnings_.push_back(pair->warning);
        if (auto used = tls::use(context.get(), *pair, what); !used)
            return std::unexpected(used.error());
    }
    return context;
}

void TlsServerContext::add_host(const TlsServerOptions::Host& host, Result<Owned> made)
{
    const std::string hostname = plan::to_lower(host.hostname);
    const bool is_exact = !hostname.empty() && !hostname.starts_with("*.");
    auto& index = is_exact ? exact_ : by_suffix_;
    const std::string key = is_exact || hostname.empty() ? hostname : hostname.substr(1);
    const bool is_usable = made.has_value();
    if (!is_usable)
        refused_.push_back({hostname, made.error()});
    const auto [place, is_new] = index.try_emplace(key, is_usable ? *std::move(made) : nullptr);
    if (is_new)
        return;
    // Which of the two is meant cannot be told.
    place->second = nullptr;
    refused_.push_back({hostname, Error{0, "TLS host", name_of(host) + ": stands there twice"}});
}

Result<std::shared_ptr<const TlsServerContext>> TlsServerContext::make(const TlsServerOptions& options)
{
    const std::shared_ptr<TlsServerContext> result(new TlsServerContext);
    result->ticket_keys_ = options.ticket_keys;
    auto wire = tls::alpn_wire(options.alpn);
    if (!wire)
        return std::unexpected(wire.error());
    result->alpn_wire_ = *std::move(wire);
    result->base_ = result->make_context(options);
    SSL_CTX_set_tlsext_servername_callback(result->base_.get(), TlsServerCallbacks::select_host);
    ClientCas client_cas;
    for (const TlsServerOptions::Host& host : options.hosts) {
        const auto client_ca = client_cas.of(host);
        result->add_host(host,
                         client_ca ? result->make_host(options, host, *client_ca) : std::unexpected(client_ca.error()));
    }
    return std::shared_ptr<const TlsServerContext>(result);
}

bool TlsServerContext::serves() const
{
    const auto is_usable = [](const auto& entry) { return entry.second != nullptr; };
    return std::ranges::any_of(exact_, is_usable) || std::ranges::any_of(by_suffix_, is_usable);
}

// Exact, then the longest wildcard suffix, then the one for every name. Null: refused.
ssl_ctx_st* TlsServerContext::find_host(std::string_view server_name) const
{
    if (!server_name.empty() && server_name.size() <= kNameMax) {
        const std::string name = plan::to_lower(server_name);
        if (const auto found = exact_.find(name); found != exact_.end())
            return found->second.get();
        for (std::size_t dot = name.find('.', 1); dot != std::string::npos; dot = name.find('.', dot + 1)) {
            if (const auto found = by_suffix_.find(name.substr(dot)); found != by_suffix_.end())
                return found->second.get();
        }
    }
    const auto any = by_suffix_.find("");
    return any == by_suffix_.end() ? nullptr : any->second.get();
}

}  // namespace sluice::proxy
