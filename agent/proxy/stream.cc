// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/stream.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace sluice::proxy {
namespace {

int size_of(std::span<const iovec> spans)
{
    std::size_t size = 0;
    for (const iovec& span : spans)
        size += span.iov_len;
    return static_cast<int>(size);
}

}  // namespace

void set_tcp_options(int fd)
{
    constexpr int kUnsentMax = 128 * 1024;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentMax, sizeof kUnsentMax);
}

void set_backend_options(int fd)
{
    constexpr int kSilentS = 15;
    constexpr int kProbeEveryS = 5;
    constexpr int kProbesMax = 3;
    constexpr int kRetransmitEveryMsMax = 2'000;  // of which tcp_retries2, 15, makes 27 s; 924 s without it
    constexpr int kTcpRtoMaxMs = 44;              // TCP_RTO_MAX_MS of linux/tcp.h; before Linux 6.15 there is none
    const auto set = [fd](int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, kSilentS);
    set(IPPROTO_TCP, TCP_KEEPINTVL, kProbeEveryS);
    set(IPPROTO_TCP, TCP_KEEPCNT, kProbesMax);
    set(IPPROTO_TCP, kTcpRtoMaxMs, kRetransmitEveryMsMax);
}

Stream::Stream(Loop& loop, UniqueFd fd) : loop_(&loop), fd_(std::move(fd)) {}

Result<std::unique_ptr<Stream>> Stream::open(Loop& loop, const SocketAddress& to)
{
    UniqueFd fd(::socket(to.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid())
        return fail(errno, "socket", to.to_string());
    set_tcp_options(fd.get());
    set_backend_options(fd.get());
    return std::make_unique<Stream>(loop, std::move(fd));
}

const TlsSession* Stream::tls() const { return tls_ == nullptr ? nullptr : tls_->session.get(); }

void Stream::start_tls(std::unique_ptr<TlsSession> session)
{
    tls_ = std::make_unique<Tls>();
    tls_->session = std::move(session);
}

void Stream::accept_tls(std::unique_ptr<TlsSession> session, std::string_view received)
{
    start_tls(std::move(session));
    if (received.empty())
        return recv_bytes();
    take_ciphertext(received);
}

void Stream::recv_bytes(Amount amount)
{
    if (!recv_.pending())
        loop_->recv(fd_.get(), recv_, amount);
}

void Stream::recv(Amount amount)
{
    if (tls_ == nullptr)
        return recv_bytes(amount);
    if (std::exchange(tls_->wants_data, true))
        return;
    tls_->amount = amount;
    if (tls_->is_drained)
        recv_bytes();
    else
        loop_->post(plain_, 0);
}

void Stream::send(std::span<const iovec> spans)
{
    if (send_now(spans))
        loop_->post(send_, size_of(spans));
}

bool Stream::send_now(std::span<const iovec> spans)
{
    if (tls_ == nullptr)
        return loop_->send(fd_.get(), spans, send_);
    tls_->user_sending = true;
    tls_->user_bytes = tls_->session->write(spans) ? size_of(spans) : -EPROTO;
    pump();
    return false;
}

// Sends the session's output, one piece at a time.
void Stream::pump()
{
    if (send_.pending())
        return;
    if (tls_->session->output().empty()) {
        if (tls_->user_sending)
            loop_->post(send_, tls_->user_bytes);  // nothing came of it: the session has failed
        return;
    }
    tls_->sending = tls_->session->take_output();
    const iovec span{tls_->sending.data(), tls_->sending.size()};
    if (loop_->send(fd_.get(), {&span, 1}, send_))
        loop_->post(send_, static_cast<int>(span.iov_len));
}

void Stream::cancel_connect()
{
    is_connect_cancelled_ = true;  // also where the result is on its way: nobody may wait again, without a time
    loop_->cancel(connect_);
    if (tls_ != nullptr && tls_->handshaking)
        loop_->cancel(recv_);
}

void Stream::shutdown_write()
{
    if (tls_ != nullptr) {
        tls_->session->shutdown();
        pump();
        tls_->shutdown_due = true;
        if (send_.pending())
            return;
    }
    ::shutdown(fd_.get(), SHUT_WR);
}

void Stream::reset_on_close()
{
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void Stream::abandon()
{
    user_ = nullptr;
    if (tls_ != nullptr)
        tls_->wants_data = false;
    loop_->cancel(connect_);
    loop_->cancel(recv_);
    loop_->cancel(send_);
}

void Stream::on_connect(int result, Buffer)
{
    if (user_ == nullptr)
        return;
    if (is_connect_cancelled_)
        result = -ECANCELED;
    if (result != 0 || tls_ == nullptr)
        return user_->on_stream_connected(result);
    pump();
    recv_bytes();
}

void Stream::on_recv(int result, Buffer buffer)
{
    if (user_ == nullptr)
        return;
    if (tls_ == nullptr)
        return user_->on_stream_data(result, std::move(buffer));
    if (result <= 0)
        // An end that TLS does not confirm may be an attacker's (RFC 8446 section 6.1).
        return report_received(result < 0 ? result : -ECONNRESET, {});
    if (tls_->handshaking && is_connect_cancelled_)
        return report_received(-ECANCELED, {});
    take_ciphertext(buffer.view());
}

void Stream::take_ciphertext(std::string_view bytes)
{
    const bool is_good = tls_->session->feed(bytes).has_value();
    tls_->is_drained = false;
    pump();
    if (!is_good)
        return report_received(-EPROTO, {});
    if (!tls_->handshaking)
        return deliver_plain();
    if (!tls_->session->established())
        return recv_bytes();
    tls_->handshaking = false;
    user_->on_stream_connected(0);
}

void Stream::deliver_plain()
{
    if (!tls_->wants_data)
        return;
    Buffer buffer = loop_->take_buffer();
    if (!buffer)
        return report_received(-ENOMEM, {});
    const std::size_t most = tls_->amount == Amount::Little ? kLittleBytes : kBufferBytes;
    std::size_t filled = 0;
    while (filled < most) {
        const auto count = tls_->session->read({buffer.data() + filled, most - filled});
        if (!count && filled == 0)
            return report_received(-EPROTO, {});
        if (!count || *count == 0) {
            // An end or an error behind the data is for the next receive to tell.
            tls_->is_drained = count && !tls_->session->ended();
            break;
        }
        filled += *count;
    }
    pump();  // reading may have called for an answer of the session's own
    if (filled == 0 && !tls_->session->ended())
        return recv_bytes();
    buffer.shrink(static_cast<std::uint32_t>(filled));
    report_received(static_cast<int>(filled), std::move(buffer));
}

void Stream::report_received(int result, Buffer buffer)
{
    if (std::exchange(tls_->handshaking, false))
        return user_->on_stream_connected(result);
    if (std::exchange(tls_->wants_data, false))
        user_->on_stream_data(result, std::move(buffer));
}

void Stream::on_plain(int, Buffer)
{
    if (user_ != nullptr)
        deliver_plain();
}

void Stream::on_send(int result, Buffer)
{
    if (tls_ == nullptr) {
        if (user_ != nullptr)
            user_->on_stream_sent(result);
        return;
    }
    std::string().swap(tls_->sending);  // idle, it holds no memory
    if (result >= 0 && !tls_->session->output().empty())
        return pump();
    if (tls_->shutdown_due)
        ::shutdown(fd_.get(), SHUT_WR);
    if (std::exchange(tls_->user_sending, false) && user_ != nullptr)
        user_->on_stream_sent(result < 0 ? result : tls_->user_bytes);
}

}  // namespace sluice::proxy
