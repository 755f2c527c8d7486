// SPDX-License-Identifier: Apache-2.0
// The server's side: one library context a host, all alike but for the certificates. A session begins with the base
// and moves to its host's when the ClientHello has named it.
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <set>

#include "agent/proxy/tls_library.h"
#include "agent/proxy/tls_tickets.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kNameMax = 255;

std::string lower(std::string_view text)
{
    std::string result(text);
    std::ranges::transform(result, result.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return result;
}

// A ticket is good for the host that it was made for only, and only while the same is asked of clients.
void set_resumption_scope(SSL_CTX* context, const TlsServerOptions& options, const std::string& hostname)
{
    const std::string scope =
        hostname + '\0' + std::to_string(static_cast<int>(options.client_auth)) + '\0' + options.client_ca_pem;
    std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
    SHA256(reinterpret_cast<const std::uint8_t*>(scope.data()), scope.size(), digest.data());
    SSL_CTX_set_session_id_context(context, digest.data(), digest.size());
}

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

TlsServerContext::Owned TlsServerContext::make_context(const TlsServerOptions& options, x509_store_st* client_ca)
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
    if (client_ca == nullptr)
        return owned;
    SSL_CTX_set1_cert_store(context, client_ca);
    const bool required = options.client_auth == TlsClientAuth::Required;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    if (options.client_auth == TlsClientAuth::Unverified)
        SSL_CTX_set_cert_verify_callback(context, TlsServerCallbacks::verify_without_refusal, nullptr);
    return owned;
}

Result<void> TlsServerContext::add_host(const TlsServerOptions& options, const TlsServerOptions::Host& host,
                                        x509_store_st* client_ca)
{
    const std::string hostname = lower(host.hostname);
    const std::string what = hostname.empty() ? "any host" : hostname;
    if (hostname.size() > kNameMax)
        return fail(0, "TLS host", what.substr(0, kNameMax) + ": longer than 255 bytes");
    if (host.certificates.empty())
        return fail(0, "TLS host", what + ": no certificate");
    Owned context = make_context(options, client_ca);
    set_resumption_scope(context.get(), options, hostname);
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
            return used;
    }
    const bool wildcard = hostname.starts_with("*.");
    bool added = true;
    if (hostname.empty())
        added = std::exchange(default_, std::move(context)) == nullptr;
    else
        added =
            (wildcard ? wildcard_ : exact_).try_emplace(hostname.substr(wildcard ? 1 : 0), std::move(context)).second;
    if (!added)
        return fail(0, "TLS host", what + ": stands there twice");
    return {};
}

Result<std::shared_ptr<const TlsServerContext>> TlsServerContext::make(const TlsServerOptions& options)
{
    const std::shared_ptr<TlsServerContext> result(new TlsServerContext);
    result->ticket_keys_ = options.ticket_keys;
    auto wire = tls::alpn_wire(options.alpn);
    if (!wire)
        return std::unexpected(wire.error());
    result->alpn_wire_ = *std::move(wire);
    tls::StorePtr client_ca;
    if (options.client_auth != TlsClientAuth::None) {
        if (options.client_ca_pem.empty())
            return fail(0, "client CA", "client certificates are asked for, but no CA is given");
        auto store = tls::make_store(options.client_ca_pem, "client CA");
        if (!store)
            return std::unexpected(store.error());
        client_ca = *std::move(store);
    }
    result->base_ = result->make_context(options, client_ca.get());
    SSL_CTX_set_tlsext_servername_callback(result->base_.get(), TlsServerCallbacks::select_host);
    set_resumption_scope(result->base_.get(), options, "");
    for (const auto& host : options.hosts) {
        if (auto added = result->add_host(options, host, client_ca.get()); !added)
            return std::unexpected(added.error());
    }
    return std::shared_ptr<const TlsServerContext>(result);
}

// Exact, then the longest wildcard suffix, then the default.
ssl_ctx_st* TlsServerContext::find_host(std::string_view server_name) const
{
    if (!server_name.empty() && server_name.size() <= kNameMax) {
        const std::string name = lower(server_name);
        if (const auto found = exact_.find(name); found != exact_.end())
            return found->second.get();
        for (std::size_t dot = name.find('.'); dot != std::string::npos && !wildcard_.empty();
             dot = name.find('.', dot + 1)) {
            const auto found = dot == 0 ? wildcard_.end() : wildcard_.find(name.substr(dot));
            if (found != wildcard_.end())
                return found->second.get();
        }
    }
    return default_.get();
}

}  // namespace sluice::proxy
