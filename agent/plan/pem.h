// SPDX-License-Identifier: Apache-2.0
// Whether a text is PEM (RFC 7468) as TLS wants it, by its frame alone: what is inside is for the TLS engine to judge.
// Pure functions. Their faults never quote the text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::plan {

// Of a chain, of a key, and of all CAs of one list of references. What a system trusts, some 140 roots, has 220 KiB.
constexpr std::size_t kPemBytesMax = 256 * 1024;

// What is wrong with a chain: at least one CERTIFICATE and nothing else. Empty for a good one.
[[nodiscard]] std::string certificate_fault(std::string_view pem);

// What is wrong with a key: one private key that is not encrypted; EC PARAMETERS may stand before it.
[[nodiscard]] std::string key_fault(std::string_view pem);

}  // namespace sluice::plan
