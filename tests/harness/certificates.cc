// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

namespace sluice::harness {
namespace {

template <auto kFree> struct FreeBy {
    template <class T> void operator()(T* object) const { kFree(object); }
};
using BioPtr = std::unique_ptr<BIO, FreeBy<BIO_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, FreeBy<X509_free>>;

void must(bool done, const char* what)
{
    if (done)
        return;
    std::fprintf(stderr, "test certificate: %s\n", what);
    std::abort();
}

KeyPtr make_key(KeyKind kind)
{
    EVP_PKEY* key = nullptr;
    const bool ecdsa = kind == KeyKind::EcdsaP256;
    const std::unique_ptr<EVP_PKEY_CTX, FreeBy<EVP_PKEY_CTX_free>> context(
        EVP_PKEY_CTX_new_id(ecdsa ? EVP_PKEY_EC : EVP_PKEY_RSA, nullptr));
    must(EVP_PKEY_keygen_init(context.get()) == 1, "key");
    must((ecdsa ? EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context.get(), NID_X9_62_prime256v1)
                : EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), kind == KeyKind::Rsa1024 ? 1024 : 2048)) == 1,
         "key parameters");
    must(EVP_PKEY_keygen(context.get(), &key) == 1, "key");
    return KeyPtr(key);
}

template <class Write> std::string to_pem(const Write& write)
{
    const BioPtr bio(BIO_new(BIO_s_mem()));
    must(write(bio.get()) == 1, "PEM");
    const std::uint8_t* data = nullptr;
    std::size_t size = 0;
    must(BIO_mem_contents(bio.get(), &data, &size) == 1, "PEM");
    return {reinterpret_cast<const char*>(data), size};
}

void add_extension(X509* certificate, int nid, const std::string& value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, FreeBy<X509_EXTENSION_free>> extension(
        X509V3_EXT_nconf_nid(nullptr, &context, nid, value.c_str()));
    must(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1, value.c_str());
}

std::string alternative_names(const CertificateSpec& spec)
{
    std::string value;
    const auto add = [&value](const char* type, const std::vector<std::string>& names) {
        for (const std::string& name : names)
            value += (value.empty() ? "" : ",") + std::string(type) + name;
    };
    add("DNS:", spec.dns_names);
    add("URI:", spec.uris);
    add("IP:", spec.ip_addresses);
    return value;
}

void set_name(X509_NAME* name, const std::string& common_name)
{
    must(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const std::uint8_t*>(common_name.data()),
                                    static_cast<ossl_ssize_t>(common_name.size()), -1, 0) == 1,
         "name");
}

}  // namespace

Certificate make_certificate(const CertificateSpec& spec, const Certificate* issuer)
{
    const KeyPtr key = make_key(spec.kind);
    const CertificatePtr certificate(X509_new());
    X509* x509 = certificate.get();
    std::uint64_t serial = 0;
    RAND_bytes(reinterpret_cast<std::uint8_t*>(&serial), sizeof serial);
    must(X509_set_version(x509, X509_VERSION_3) == 1 && ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial),
         "serial");
    X509_gmtime_adj(X509_getm_notBefore(x509), spec.valid_from_s);
    X509_gmtime_adj(X509_getm_notAfter(x509), spec.valid_until_s);
    set_name(X509_get_subject_name(x509), spec.common_name);
    must(X509_set_pubkey(x509, key.get()) == 1, "public key");
    add_extension(x509, NID_basic_constraints, spec.authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (const std::string names = alternative_names(spec); !names.empty())
        add_extension(x509, NID_subject_alt_name, names);

    KeyPtr issuer_key;
    if (issuer == nullptr) {
        must(X509_set_issuer_name(x509, X509_get_subject_name(x509)) == 1, "issuer");
    } else {
        const BioPtr pem(BIO_new_mem_buf(issuer->pem.data(), static_cast<ossl_ssize_t>(issuer->pem.size())));
        const CertificatePtr signer(PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr));
        const BioPtr key_pem(
            BIO_new_mem_buf(issuer->key_pem.data(), static_cast<ossl_ssize_t>(issuer->key_pem.size())));
        issuer_key.reset(PEM_read_bio_PrivateKey(key_pem.get(), nullptr, nullptr, nullptr));
        must(signer && issuer_key && X509_set_issuer_name(x509, X509_get_subject_name(signer.get())) == 1, "issuer");
    }
    must(X509_sign(x509, issuer_key ? issuer_key.get() : key.get(), EVP_sha256()) > 0, "signature");
    return {to_pem([x509](BIO* bio) { return PEM_write_bio_X509(bio, x509); }), to_pem([&key](BIO* bio) {
                return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
            })};
}

}  // namespace sluice::harness
