// SPDX-License-Identifier: Apache-2.0
// The library reads and writes through a BIO of ours: it takes bytes out of what was fed and appends to the output.
#include "agent/proxy/tls_session.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>

#include "agent/proxy/tls_library.h"

namespace sluice::proxy {
namespace {

// A record is of use to the peer only when all of it has come. So the first ones fit a packet each (about what a new
// connection may send unacknowledged), and later ones are as large as can be, for they cost less.
constexpr std::size_t kSmallRecordBytes = 1370;
constexpr std::size_t kSmallRecordsTotal = 10 * kSmallRecordBytes;
constexpr std::size_t kRecordBytes = 16UL * 1024;
constexpr std::size_t kRecordOverheadMax = 32;

}  // namespace

struct TlsSessionBio {
    static int read(BIO* bio, char* out, int size)
    {
        auto& session = *static_cast<TlsSession*>(BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        const bool from_pending = session.pending_taken_ < session.pending_.size();
        const std::string_view source =
            from_pending ? std::string_view(session.pending_).substr(session.pending_taken_) : session.fed_;
        if (source.empty()) {
            BIO_set_retry_read(bio);
            return -1;
        }
        const std::size_t count = std::min(source.size(), static_cast<std::size_t>(size));
        std::memcpy(out, source.data(), count);
        if (from_pending)
            session.pending_taken_ += count;
        else
            session.fed_.remove_prefix(count);
        return static_cast<int>(count);
    }

    static int write(BIO* bio, const char* data, int size)
    {
        static_cast<TlsSession*>(BIO_get_data(bio))->output_.append(data, static_cast<std::size_t>(size));
        BIO_clear_retry_flags(bio);
        return size;
    }

    static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

    static const BIO_METHOD* method()
    {
        static const BIO_METHOD* const kMethod = [] {
            BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "session");
            BIO_meth_set_read(made, read);
            BIO_meth_set_write(made, write);
            BIO_meth_set_ctrl(made, control);
            return made;
        }();
        return kMethod;
    }
};

void TlsSession::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }
TlsSession::~TlsSession() = default;

TlsSession::TlsSession(ssl_ctx_st* context) : ssl_(SSL_new(context))
{
    BIO* bio = BIO_new(TlsSessionBio::method());
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_shed_handshake_config(ssl_.get(), 1);  // an idle session is smaller without it
}

std::unique_ptr<TlsSession> TlsSession::accept(std::shared_ptr<const TlsServerContext> context)
{
    std::unique_ptr<TlsSession> session(new TlsSession(context->native()));
    session->server_ = std::move(context);
    SSL_set_accept_state(session->ssl_.get());
    return session;
}

std::unique_ptr<TlsSession> TlsSession::connect(std::shared_ptr<const TlsClientContext> context)
{
    std::unique_ptr<TlsSession> session(new TlsSession(context->native()));
    session->client_ = std::move(context);
    session->client_->prepare(session->ssl_.get());
    SSL_set_connect_state(session->ssl_.get());
    static_cast<void>(session->handshake());  // only makes the ClientHello: there is nothing to fail on yet
    return session;
}

Result<void> TlsSession::feed(std::string_view ciphertext)
{
    if (failed_)
        return fail(0, "TLS", "the connection has failed before");
    if (ended_)
        return {};  // RFC 8446 section 6.1: what follows close_notify is ignored
    fed_ = ciphertext;
    Result<void> result;
    if (!established_) {
        handshake_bytes_ += ciphertext.size();
        result = handshake();
        if (result && !established_ && handshake_bytes_ > kTlsHandshakeMax) {
            failed_ = true;
            result = fail(0, "TLS handshake", "too many bytes");
        }
    }
    if (result && pending_.size() - pending_taken_ + fed_.size() > kTlsPendingMax) {
        failed_ = true;
        result = fail(0, "TLS", "received bytes are not read");
    }
    keep_rest();
    return result;
}

// Neither the fed view outlives its call, nor do bytes that the library has taken stay.
void TlsSession::keep_rest()
{
    if (pending_taken_ == pending_.size()) {
        std::string().swap(pending_);
        pending_taken_ = 0;
    }
    if (!failed_ && !fed_.empty()) {
        pending_.erase(0, std::exchange(pending_taken_, 0));
        pending_.append(fed_);
    }
    fed_ = {};
}

Result<void> TlsSession::handshake()
{
    ERR_clear_error();
    const int rc = SSL_do_handshake(ssl_.get());
    if (rc == 1) {
        established_ = true;
        SSL_set_max_send_fragment(ssl_.get(), kSmallRecordBytes);
        return {};
    }
    const int error = SSL_get_error(ssl_.get(), rc);
    if (error == SSL_ERROR_WANT_READ)
        return {};
    return fail_with_reason("TLS handshake");
}

Result<void> TlsSession::fail_with_reason(const char* op)
{
    failed_ = true;
    const long verified = SSL_get_verify_result(ssl_.get());
    std::string reason = tls::take_error();
    if (!established_ && verified != X509_V_OK)
        reason += std::string(": ") + X509_verify_cert_error_string(verified);
    return fail(0, op, std::move(reason));
}

Result<std::size_t> TlsSession::read(std::span<char> out)
{
    if (failed_)
        return fail(0, "TLS", "the connection has failed before");
    if (!established_ || ended_)
        return 0;
    std::size_t count = 0;
    while (count < out.size()) {
        ERR_clear_error();
        const std::size_t room = std::min<std::size_t>(out.size() - count, INT_MAX);
        const int rc = SSL_read(ssl_.get(), out.data() + count, static_cast<int>(room));
        if (rc > 0) {
            count += static_cast<std::size_t>(rc);
            continue;
        }
        const int error = SSL_get_error(ssl_.get(), rc);
        if (error == SSL_ERROR_WANT_READ)
            break;
        ended_ = error == SSL_ERROR_ZERO_RETURN;
        if (ended_ || count > 0)  // what came whole is delivered first; the library repeats its error
            break;
        return std::unexpected(fail_with_reason("TLS read").error());
    }
    keep_rest();
    return count;
}

Result<void> TlsSession::write_record(const char* data, std::size_t size)
{
    ERR_clear_error();
    const int rc = SSL_write(ssl_.get(), data, static_cast<int>(size));
    if (rc != static_cast<int>(size))
        return fail_with_reason("TLS write");
    return {};
}

Result<void> TlsSession::write(std::span<const iovec> spans)
{
    if (failed_ || !established_)
        return fail(0, "TLS write", failed_ ? "the connection has failed before" : "before the handshake is over");
    std::size_t total = 0;
    for (const iovec& span : spans)
        total += span.iov_len;
    const std::size_t records = total / kSmallRecordBytes + 1;
    output_.reserve(output_.size() + total + records * kRecordOverheadMax);

    // Short spans are gathered: each record costs the same, however little is in it.
    std::array<char, kRecordBytes> gathered;
    std::size_t held = 0;
    std::size_t left = total;
    for (const iovec& span : spans) {
        std::string_view rest(static_cast<const char*>(span.iov_base), span.iov_len);
        while (!rest.empty()) {
            const bool small = written_ < kSmallRecordsTotal;
            const std::size_t record = small ? kSmallRecordBytes : kRecordBytes;
            if (!small)
                SSL_set_max_send_fragment(ssl_.get(), kRecordBytes);
            const std::size_t count = std::min(rest.size(), record - held);
            const char* data = rest.data();
            left -= count;
            if (held != 0 || (count < record && left != 0)) {
                std::memcpy(gathered.data() + held, data, count);
                held += count;
                data = gathered.data();
            } else {
                held = count;
            }
            rest.remove_prefix(count);
            if (held < record && left != 0)
                continue;
            if (auto written = write_record(data, held); !written)
                return written;
            written_ += std::exchange(held, 0);
        }
    }
    return {};
}

void TlsSession::shutdown()
{
    if (failed_ || !established_)
        return;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
}

std::string_view TlsSession::alpn() const
{
    const std::uint8_t* data = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &data, &size);
    return {reinterpret_cast<const char*>(data), size};
}

std::string_view TlsSession::server_name() const
{
    const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? std::string_view() : std::string_view(name);
}

bool TlsSession::peer_verified() const
{
    const STACK_OF(CRYPTO_BUFFER)* chain = SSL_get0_peer_certificates(ssl_.get());
    return established_ && chain != nullptr && sk_CRYPTO_BUFFER_num(chain) > 0 &&
           SSL_get_verify_result(ssl_.get()) == X509_V_OK;
}

bool TlsSession::resumed() const { return SSL_session_reused(ssl_.get()) == 1; }

TlsVersion TlsSession::version() const
{
    return SSL_version(ssl_.get()) == TLS1_3_VERSION ? TlsVersion::Tls13 : TlsVersion::Tls12;
}

}  // namespace sluice::proxy
