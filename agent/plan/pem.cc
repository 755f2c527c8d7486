// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/pem.h"

#include <optional>
#include <vector>

#include "agent/model/base64.h"

namespace sluice::plan {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";

struct Blocks {
    std::vector<std::string_view> labels;
    std::string fault;
};

// The first block at or after `text`'s start, taken off its front; false at the end or with a fault.
bool next_block(std::string_view& text, Blocks& blocks)
{
    const std::size_t begin = text.find(kBegin);
    if (begin == std::string_view::npos)
        return false;
    text.remove_prefix(begin + kBegin.size());
    const std::size_t label_size = text.find(kDashes);
    if (label_size == std::string_view::npos || text.substr(0, label_size).find('\n') != std::string_view::npos) {
        blocks.fault = "a BEGIN line does not end";
        return false;
    }
    const std::string_view label = text.substr(0, label_size);
    text.remove_prefix(label_size + kDashes.size());
    const std::string end = std::string(kEnd) + std::string(label) + std::string(kDashes);
    const std::size_t body_size = text.find(end);
    if (body_size == std::string_view::npos) {
        blocks.fault = "a block has no END line of its own label";
        return false;
    }
    const auto body = model::decode_base64(text.substr(0, body_size));
    if (!body || body->empty()) {
        blocks.fault = "a block is not base64 between its BEGIN and END lines";
        return false;
    }
    text.remove_prefix(body_size + end.size());
    blocks.labels.push_back(label);
    return true;
}

// Text around blocks is allowed: openssl writes what a certificate says before it.
Blocks find_blocks(std::string_view pem)
{
    Blocks blocks;
    if (pem.size() > kPemBytesMax) {
        blocks.fault = "it is larger than " + std::to_string(kPemBytesMax / 1024) + " KiB; up to that is accepted";
        return blocks;
    }
    while (next_block(pem, blocks)) {
    }
    if (blocks.labels.empty() && blocks.fault.empty())
        blocks.fault = "it holds no PEM block";
    return blocks;
}

}  // namespace

std::string certificate_fault(std::string_view pem)
{
    Blocks blocks = find_blocks(pem);
    for (const std::string_view label : blocks.labels)
        if (label != "CERTIFICATE" && blocks.fault.empty())
            blocks.fault = "it holds a PEM block that is no CERTIFICATE";
    return blocks.fault;
}

std::string key_fault(std::string_view pem)
{
    const Blocks blocks = find_blocks(pem);
    if (!blocks.fault.empty())
        return blocks.fault;
    std::size_t keys = 0;
    for (const std::string_view label : blocks.labels) {
        if (label == "PRIVATE KEY" || label == "RSA PRIVATE KEY" || label == "EC PRIVATE KEY")
            ++keys;
        else if (label == "ENCRYPTED PRIVATE KEY")
            return "the key is encrypted; one without a passphrase is accepted";
        else if (label != "EC PARAMETERS")
            return "it holds a PEM block that is no private key";
    }
    return keys == 1 ? "" : "it must hold one private key";
}

}  // namespace sluice::plan
