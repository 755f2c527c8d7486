// SPDX-License-Identifier: Apache-2.0
// What the TLS sources share: owners for the library's objects, PEM parsing, and the library's errors as ours. Included
// by tls_*.cc only; the library's headers stay out of every other file.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/proxy/tls_context.h"
#include "base/result.h"

namespace sluice::proxy::tls {

template <auto kFree> struct FreeBy {
    template <class T> void operator()(T* object) const { kFree(object); }
};
using BioPtr = std::unique_ptr<BIO, FreeBy<BIO_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using StorePtr = std::unique_ptr<X509_STORE, FreeBy<X509_STORE_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, FreeBy<SSL_CTX_free>>;
using CertificatePtr = std::unique_ptr<X509, FreeBy<X509_free>>;

// The oldest error in the library's queue of this thread; empties the queue.
[[nodiscard]] std::string take_error();

// Every certificate of a PEM text, at least one. `what` names it in errors.
[[nodiscard]] Result<std::vector<CertificatePtr>> parse_certificates(const std::string& pem, const std::string& what);

// What both sides have in common: versions, suites, groups, ALPN is set by the caller.
[[nodiscard]] ContextPtr make_context(bool server, TlsVersion min_version);

struct KeyPair {
    std::vector<CertificatePtr> chain;  // the leaf first
    KeyPtr key;
    std::string warning;  // empty, or why peers will not accept it as it is
};
// Errors: bad PEM, a key that is not the certificate's, a kind or a length that is not served.
[[nodiscard]] Result<KeyPair> parse_key_pair(const TlsCertificate& certificate, const std::string& what);
[[nodiscard]] Result<void> use(SSL_CTX* context, const KeyPair& pair, const std::string& what);

// The certificates of `pem` as trust anchors, or the system's when it is empty.
[[nodiscard]] Result<StorePtr> make_store(const std::string& pem, const std::string& what);

// Protocol names as they stand on the wire. Error: an empty or too long one.
[[nodiscard]] Result<std::string> alpn_wire(const std::vector<std::string>& protocols);

}  // namespace sluice::proxy::tls
