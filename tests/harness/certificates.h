// SPDX-License-Identifier: Apache-2.0
// Certificates made while a test runs, as PEM. Safe to use from any thread.
#pragma once

#include <string>
#include <vector>

namespace sluice::harness {

enum class KeyKind { EcdsaP256, Rsa2048, Rsa1024 };

struct Certificate {
    std::string pem;
    std::string key_pem;
};

struct CertificateSpec {
    std::string common_name = "test";
    std::vector<std::string> dns_names;
    std::vector<std::string> uris;
    std::vector<std::string> ip_addresses;
    KeyKind kind = KeyKind::EcdsaP256;
    bool authority = false;
    long valid_from_s = -3600;  // relative to now
    long valid_until_s = 24L * 3600;
};

// Signed by `issuer`, or by itself when there is none. Ends the process on failure.
[[nodiscard]] Certificate make_certificate(const CertificateSpec& spec, const Certificate* issuer = nullptr);

}  // namespace sluice::harness
