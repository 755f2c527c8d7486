// SPDX-License-Identifier: Apache-2.0
// The workers' event loop: one per worker thread, by io_uring or by epoll behind the same calls. Everything here is
// for the worker's own thread, but `wake`.
//
// Rules that hold on both: a started operation completes exactly once (accept: once per connection, and once more
// when it ends), never from inside the call that started it or that cancelled it. Completions of a turn are queued
// first and handled after. A Completion must live until its operation has completed.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/proxy/proxy.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::proxy {

constexpr std::size_t kBufferBytes = 16 * 1024;
constexpr std::size_t kBulkBytes = 64 * 1024;
constexpr std::size_t kLittleBytes = 1024;
constexpr std::size_t kSendSpansMax = 64;

// Takes the first `count` bytes off what is left to send.
void drop_front(std::vector<iovec>& spans, std::size_t count);

// How much to receive. For bulk there are a few larger buffers; when they are in use, it gets one of the usual size.
// Little: at most kLittleBytes, from a peer whose bytes cost more than those of others.
enum class Amount : std::uint8_t { Little, Usual, Bulk };

// Where buffers go back to; each kind of loop has its own.
class BufferPool {
public:
    virtual void give_back(std::uint16_t id) = 0;

protected:
    virtual ~BufferPool() = default;
};

// Received bytes in a buffer of the loop. Move-only; goes back to the loop when it ends, and must do so before the
// loop does. Idle connections hold none.
class Buffer {
public:
    Buffer() = default;
    Buffer(BufferPool* pool, char* data, std::uint32_t size, std::uint16_t id)
        : pool_(pool), data_(data), size_(size), id_(id)
    {
    }
    Buffer(Buffer&& other) noexcept
        : pool_(other.pool_),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          id_(other.id_)
    {
    }
    Buffer& operator=(Buffer&& other) noexcept
    {
        if (this == &other)
            return *this;
        reset();
        pool_ = other.pool_;
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        id_ = other.id_;
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { reset(); }
    void reset()
    {
        if (std::exchange(data_, nullptr) != nullptr)
            pool_->give_back(id_);
        size_ = 0;
    }
    void shrink(std::uint32_t size) { size_ = size; }

    [[nodiscard]] std::string_view view() const { return {data_, size_}; }
    [[nodiscard]] char* data() { return data_; }
    [[nodiscard]] std::uint32_t size() const { return size_; }
    [[nodiscard]] explicit operator bool() const { return data_ != nullptr; }

private:
    BufferPool* pool_ = nullptr;
    char* data_ = nullptr;
    std::uint32_t size_ = 0;
    std::uint16_t id_ = 0;
};

class Completion {
public:
    // `result` is what the system call would return, or -errno (-ECANCELED after `cancel`). `buffer` is filled by recv.
    virtual void complete(int result, Buffer buffer) = 0;
    [[nodiscard]] bool pending() const { return pending_; }
    // Its result is known, and comes with the next turn.
    [[nodiscard]] bool is_queued() const { return pending_ && state_ == nullptr; }

protected:
    Completion() = default;
    virtual ~Completion() = default;
    Completion(const Completion&) = delete;
    Completion& operator=(const Completion&) = delete;

private:
    friend class Loop;
    friend class RingLoop;
    friend class EpollLoop;
    bool pending_ = false;
    void* state_ = nullptr;  // the loop's own, while pending
};

// A deadline. It must end before its loop does, armed or not. Re-arming is cheap: the wheel keeps the node where it is
// until its old deadline comes.
class Timer {
public:
    virtual void expire() = 0;
    [[nodiscard]] bool armed() const { return deadline_ms_ != 0; }

protected:
    Timer() = default;
    virtual ~Timer();  // disarms
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

private:
    friend class Loop;
    friend class TimerWheel;
    // Where the node hangs it does for a later deadline too. False: it must hang elsewhere.
    [[nodiscard]] bool put_off(std::uint64_t deadline_ms)
    {
        if (link_ == nullptr || slot_ms_ > deadline_ms)
            return false;
        deadline_ms_ = deadline_ms;
        return true;
    }
    std::uint64_t deadline_ms_ = 0;  // monotonic_ms(); 0: not armed
    std::uint64_t slot_ms_ = 0;      // where the node hangs
    Timer* next_ = nullptr;
    Timer** link_ = nullptr;
};

class TimerWheel;
class HeapBuffers;

class Loop {
public:
    // IoKind::Auto is epoll, which costs no more CPU (docs/performance.md) and is allowed everywhere. IoKind::IoUring
    // makes a self-test, a real receive through a provided buffer on a socket pair. A ring belongs to the thread that
    // makes it.
    [[nodiscard]] static Result<std::unique_ptr<Loop>> make(IoKind kind);
    virtual ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    [[nodiscard]] virtual IoKind kind() const = 0;

    // result: a new non-blocking, close-on-exec descriptor that the receiver owns. Goes on until cancelled or failed.
    virtual void accept(int listen_fd, Completion& completion) = 0;
    // result: bytes in `buffer`, 0 at the end of the stream.
    virtual void recv(int fd, Completion& completion, Amount amount) = 0;
    // Sends all of it, in pieces where the socket wants it. True: it is sent already, and nothing completes. False: the
    // bytes must stay until completion, whose result is all bytes, or -errno; the spans are copied. At most
    // kSendSpansMax spans, one send at a time per socket.
    [[nodiscard]] virtual bool send(int fd, std::span<const iovec> spans, Completion& completion) = 0;
    // result: 0 or -errno.
    virtual void connect(int fd, const SocketAddress& address, Completion& completion) = 0;
    // result: 0 once the descriptor is readable (datagram sockets).
    virtual void wait_readable(int fd, Completion& completion) = 0;
    // The operation completes with -ECANCELED, unless its result is on its way already. Not pending: no effect.
    virtual void cancel(Completion& completion) = 0;

    // Completes it with `result` in the next turn.
    void post(Completion& completion, int result);

    // Memory of kBufferBytes for bytes that are not received here, such as what was decrypted; empty: there is no more.
    // Must go back before the loop ends, as received ones must.
    [[nodiscard]] Buffer take_buffer();

    // Closes a descriptor on which nothing is pending. Descriptors that were used here must be closed by it.
    virtual void close(UniqueFd fd) = 0;

    void arm(Timer& timer, std::uint32_t after_ms)
    {
        if (!timer.put_off(now_ms_ + after_ms))
            hang(timer, now_ms_ + after_ms);
    }
    void disarm(Timer& timer) { timer.deadline_ms_ = 0; }           // the node is taken out when its slot comes
    [[nodiscard]] std::uint64_t now_ms() const { return now_ms_; }  // of this turn

    // Waits for and handles one batch. Errors are fatal to the worker.
    [[nodiscard]] Result<void> turn();
    // From any thread: `on_wake` completes soon, at least once after the last call.
    void wake();
    void set_on_wake(std::function<void()> on_wake) { on_wake_ = std::move(on_wake); }
    // Ends every operation without completing it. Afterwards nothing may be started.
    virtual void stop() = 0;

protected:
    Loop();
    // Waits up to `timeout_ms` (-1: without limit) for completions, and queues them.
    [[nodiscard]] virtual Result<void> wait(int timeout_ms) = 0;
    // `last`: the operation is over with this completion.
    void queue(Completion& completion, int result, Buffer buffer, bool last);
    [[nodiscard]] bool has_ready() const { return !ready_.empty(); }
    void drop_ready();
    UniqueFd wake_fd_;
    bool woken_ = false;  // `wait` has seen the wake-up

private:
    void hang(Timer& timer, std::uint64_t deadline_ms);

    struct Ready {
        Completion* completion;
        int result;
        Buffer buffer;
        bool last;
    };
    std::unique_ptr<HeapBuffers> plain_buffers_;  // outlives what is queued
    std::vector<Ready> ready_;
    std::vector<Ready> handled_;  // of this turn
    std::unique_ptr<TimerWheel> timers_;
    std::function<void()> on_wake_;
    std::uint64_t now_ms_ = 0;
};

}  // namespace sluice::proxy
