// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/tls_library.h"

#include <array>

namespace sluice::proxy::tls {
namespace {

constexpr std::size_t kPemBytesMax = 4UL * 1024 * 1024;
constexpr std::size_t kChainMax = 10;
constexpr unsigned kRsaBitsMin = 2048;

// No passphrase is ever asked for: a PEM that wants one is refused.
int no_passphrase(char*, int, int, void*) { return 0; }

BioPtr open_pem(const std::string& pem)
{
    return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<ossl_ssize_t>(pem.size())));
}

Result<KeyPtr> parse_key(const std::string& pem, const std::string& what)
{
    const BioPtr bio = open_pem(pem);
    ERR_clear_error();
    KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    if (!key)
        return fail(0, "private key", what + ": not an unencrypted PEM key: " + take_error());
    const int kind = EVP_PKEY_id(key.get());
    if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_EC)
        return fail(0, "private key", what + ": neither RSA nor ECDSA");
    if (kind == EVP_PKEY_RSA && static_cast<unsigned>(EVP_PKEY_bits(key.get())) < kRsaBitsMin)
        return fail(0, "private key", what + ": RSA of fewer than 2048 bits");
    return key;
}

}  // namespace

std::string take_error()
{
    const auto code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "unknown" : reason;
}

Result<std::vector<CertificatePtr>> parse_certificates(const std::string& pem, const std::string& what)
{
    if (pem.size() > kPemBytesMax)
        return fail(0, "certificate", what + ": larger than 4 MiB");
    const BioPtr bio = open_pem(pem);
    std::vector<CertificatePtr> certificates;
    ERR_clear_error();
    while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr))
        certificates.emplace_back(next);
    // The end of the text is an error too: that no further PEM block begins.
    const auto last = ERR_peek_last_error();
    const bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    const std::string reason = take_error();
    if (!at_end)
        return fail(0, "certificate", what + ": " + reason);
    if (certificates.empty())
        return fail(0, "certificate", what + ": no PEM certificate in it");
    return certificates;
}

ContextPtr make_context(bool server, TlsVersion min_version)
{
    ContextPtr context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
    SSL_CTX* ctx = context.get();
    SSL_CTX_set_min_proto_version(ctx, min_version == TlsVersion::Tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
    // Constant and right: a failure would be a broken build.
    SSL_CTX_set_strict_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305");
    SSL_CTX_set1_groups_list(ctx, "X25519:P-256");
    constexpr std::size_t kPeerChainBytesMax = 64UL * 1024;
    SSL_CTX_set_max_cert_list(ctx, kPeerChainBytesMax);
    SSL_CTX_set_early_data_enabled(ctx, 0);
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    return context;
}

Result<KeyPair> parse_key_pair(const TlsCertificate& certificate, const std::string& what)
{
    auto chain = parse_certificates(certificate.chain_pem, what);
    if (!chain)
        return std::unexpected(chain.error());
    if (chain->size() > kChainMax)
        return fail(0, "certificate", what + ": a chain of more than 10 certificates");
    auto key = parse_key(certificate.key_pem, what);
    if (!key)
        return std::unexpected(key.error());
    const X509* leaf = chain->front().get();
    if (X509_check_private_key(leaf, key->get()) != 1) {
        ERR_clear_error();
        return fail(0, "private key", what + ": is not the certificate's");
    }
    std::string warning;
    if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
        warning = what + ": the certificate has expired";
    else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
        warning = what + ": the certificate is not valid yet";
    return KeyPair{*std::move(chain), *std::move(key), std::move(warning)};
}

Result<void> use(SSL_CTX* context, const KeyPair& pair, const std::string& what)
{
    bool done = SSL_CTX_use_certificate(context, pair.chain.front().get()) == 1 &&
                SSL_CTX_use_PrivateKey(context, pair.key.get()) == 1;
    for (auto link = pair.chain.begin() + 1; done && link != pair.chain.end(); ++link)
        done = SSL_CTX_add1_chain_cert(context, link->get()) == 1;
    if (!done)
        return fail(0, "certificate", what + ": " + take_error());
    return {};
}

Result<StorePtr> make_store(const std::string& pem, const std::string& what)
{
    StorePtr store(X509_STORE_new());
    // A trusted certificate is trusted as it is, also one that somebody else has signed.
    X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
    if (!pem.empty()) {
        const auto anchors = parse_certificates(pem, what);
        if (!anchors)
            return std::unexpected(anchors.error());
        for (const auto& anchor : *anchors)
            X509_STORE_add_cert(store.get(), anchor.get());
        ERR_clear_error();  // a certificate that is there twice
        return store;
    }
    // Debian and Alpine; Fedora; SUSE.
    constexpr std::array kSystemBundles{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                        "/etc/ssl/ca-bundle.pem"};
    for (const char* bundle : kSystemBundles) {
        if (X509_STORE_load_locations(store.get(), bundle, nullptr) == 1)
            return store;
    }
    ERR_clear_error();
    return fail(0, "system certificates", what + ": no bundle of trusted certificates on this node");
}

Result<std::string> alpn_wire(const std::vector<std::string>& protocols)
{
    constexpr std::size_t kNameMax = 255;
    std::string wire;
    for (const std::string& protocol : protocols) {
        if (protocol.empty() || protocol.size() > kNameMax)
            return fail(0, "ALPN", "a protocol name of 0 or more than 255 bytes");
        wire += static_cast<char>(protocol.size());
        wire += protocol;
    }
    return wire;
}

}  // namespace sluice::proxy::tls
