// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/tls_tickets.h"

#include <openssl/mem.h>
#include <openssl/rand.h>

#include <algorithm>

namespace sluice::proxy {
namespace {

TlsTicketKey make_key()
{
    TlsTicketKey key;
    // The library ends the process where there is no randomness: a return value would be of no use.
    RAND_bytes(key.name.data(), key.name.size());
    RAND_bytes(key.encryption.data(), key.encryption.size());
    RAND_bytes(key.authentication.data(), key.authentication.size());
    return key;
}

}  // namespace

// The first key also stands as the previous one: an all-zero key must never open a ticket.
TlsTicketKeys::TlsTicketKeys() : current_(make_key()), previous_(current_) {}

TlsTicketKeys::~TlsTicketKeys()
{
    OPENSSL_cleanse(&current_, sizeof current_);
    OPENSSL_cleanse(&previous_, sizeof previous_);
}

void TlsTicketKeys::rotate()
{
    const TlsTicketKey fresh = make_key();
    const std::lock_guard lock(mutex_);
    previous_ = current_;
    current_ = fresh;
}

TlsTicketKey TlsTicketKeys::current() const
{
    const std::lock_guard lock(mutex_);
    return current_;
}

std::optional<TlsTicketKey> TlsTicketKeys::find(std::span<const std::uint8_t, 16> name) const
{
    const std::lock_guard lock(mutex_);
    for (const TlsTicketKey* key : {&current_, &previous_}) {
        if (std::ranges::equal(key->name, name))
            return *key;
    }
    return std::nullopt;
}

}  // namespace sluice::proxy
