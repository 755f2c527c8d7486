// SPDX-License-Identifier: Apache-2.0
// The client's side: trust, names, and the sessions that the next connections resume.
#include <arpa/inet.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "agent/proxy/tls_library.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kSessionsMax = 8;

bool is_ip_address(const std::string& text)
{
    std::array<std::uint8_t, sizeof(in6_addr)> ignored{};
    return ::inet_pton(AF_INET, text.c_str(), ignored.data()) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), ignored.data()) == 1;
}

std::string_view text_of(const ASN1_STRING* string)
{
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
            static_cast<std::size_t>(ASN1_STRING_length(string))};
}

bool equal_ignoring_case(std::string_view left, std::string_view right)
{
    return std::ranges::equal(left, right, [](char a, char b) {
        return a == b || ((a ^ b) == 0x20 && ((a | 0x20) >= 'a' && (a | 0x20) <= 'z'));
    });
}

bool has_dns_name(X509* leaf, const std::string& name)
{
    if (is_ip_address(name))
        return X509_check_ip_asc(leaf, name.c_str(), 0) == 1;
    // The subject's common name is no host name: RFC 9525 section 2.
    return X509_check_host(leaf, name.data(), name.size(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1;
}

struct FreeNames {
    void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

// A name of the certificate that stands there exactly so.
bool has_alternative(X509* leaf, int type, const std::string& wanted)
{
    const std::unique_ptr<GENERAL_NAMES, FreeNames> names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
    const std::size_t count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names.get());
    for (std::size_t i = 0; i < count; ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != type)
            continue;
        const std::string_view text = text_of(name->d.ia5);
        if (type == GEN_DNS ? equal_ignoring_case(text, wanted) : text == wanted)
            return true;
    }
    return false;
}

bool is_accepted(X509* leaf, const TlsClientOptions& options)
{
    if (options.accepted_names.empty() && options.accepted_uris.empty())
        return has_dns_name(leaf, options.server_name);
    return std::ranges::any_of(options.accepted_names,
                               [leaf](const std::string& name) {
                                   return name.starts_with("*.") ? has_alternative(leaf, GEN_DNS, name)
                                                                 : has_dns_name(leaf, name);
                               }) ||
           std::ranges::any_of(options.accepted_uris,
                               [leaf](const std::string& uri) { return has_alternative(leaf, GEN_URI, uri); });
}

}  // namespace

struct TlsClientCallbacks {
    static int verify(X509_STORE_CTX* store, void* argument)
    {
        const int rc = X509_verify_cert(store);
        if (rc != 1)
            return rc;
        if (is_accepted(X509_STORE_CTX_get0_cert(store), static_cast<TlsClientContext*>(argument)->options_))
            return 1;
        X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
        return 0;
    }

    static int keep_session(SSL* ssl, SSL_SESSION* session)
    {
        const auto* context = static_cast<const TlsClientContext*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0));
        const std::lock_guard lock(context->mutex_);
        auto& sessions = context->sessions_;
        if (sessions.size() == kSessionsMax) {
            SSL_SESSION_free(sessions.front());
            sessions.erase(sessions.begin());
        }
        sessions.push_back(session);
        return 1;  // the session is ours now
    }
};

TlsClientContext::~TlsClientContext()
{
    for (SSL_SESSION* session : sessions_)
        SSL_SESSION_free(session);
    SSL_CTX_free(context_);
}

Result<std::shared_ptr<const TlsClientContext>> TlsClientContext::make(const TlsClientOptions& options)
{
    constexpr std::size_t kNameMax = 255;
    if (options.server_name.empty() || options.server_name.size() > kNameMax)
        return fail(0, "TLS backend", "a server name of 1 to 255 bytes is needed");
    const std::shared_ptr<TlsClientContext> result(new TlsClientContext);
    result->options_ = options;
    SSL_CTX* context = tls::make_context(false, options.min_version).release();
    result->context_ = context;
    SSL_CTX_set_ex_data(context, 0, result.get());
    if (options.max_version == TlsVersion::Tls12)
        SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    auto store = tls::make_store(options.ca_pem, "CA of " + options.server_name);
    if (!store)
        return std::unexpected(store.error());
    SSL_CTX_set_cert_store(context, store->release());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(context, TlsClientCallbacks::verify, result.get());
    if (!options.certificate.chain_pem.empty()) {
        const std::string what = "client certificate for " + options.server_name;
        const auto pair = tls::parse_key_pair(options.certificate, what);
        if (!pair)
            return std::unexpected(pair.error());
        if (auto used = tls::use(context, *pair, what); !used)
            return std::unexpected(used.error());
    }
    const auto wire = tls::alpn_wire(options.alpn);
    if (!wire)
        return std::unexpected(wire.error());
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const std::uint8_t*>(wire->data()),
                            static_cast<unsigned>(wire->size()));
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, TlsClientCallbacks::keep_session);
    return std::shared_ptr<const TlsClientContext>(result);
}

void TlsClientContext::prepare(ssl_st* ssl) const
{
    if (!is_ip_address(options_.server_name))
        SSL_set_tlsext_host_name(ssl, options_.server_name.c_str());
    const std::lock_guard lock(mutex_);
    if (sessions_.empty())
        return;
    SSL_SESSION* newest = sessions_.back();
    SSL_set_session(ssl, newest);
    if (SSL_SESSION_should_be_single_use(newest) == 1) {
        sessions_.pop_back();
        SSL_SESSION_free(newest);
    }
}

}  // namespace sluice::proxy
