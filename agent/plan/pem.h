// SPDX-License-Identifier: Apache-2.0
// Whether a text is PEM (RFC 7468) as TLS wants it, by its frame alone: what is inside is for the TLS engine to judge.
// Pure functions. Their faults never quote the text.
#pragma once

#include <string>
#include <string_view>

namespace sluice::plan {

// What is wrong with a chain: at least one CERTIFICATE and nothing else. Empty for a good one.
[[nodiscard]] std::string certificate_fault(std::string_view pem);

// What is wrong with a key: one private key that is not encrypted; EC PARAMETERS may stand before it.
[[nodiscard]] std::string key_fault(std::string_view pem);

}  // namespace sluice::plan
