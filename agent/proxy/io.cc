// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/io.h"

#include <sys/eventfd.h>

#include <limits>
#include <utility>

#include "agent/proxy/epoll_loop.h"
#include "agent/proxy/heap_buffers.h"
#include "agent/proxy/ring_loop.h"
#include "agent/proxy/timer_wheel.h"
#include "base/clock.h"

namespace sluice::proxy {
namespace {

constexpr std::uint16_t kPlainBuffersMax = std::numeric_limits<std::uint16_t>::max();
constexpr std::uint16_t kPlainBuffersKept = 64;

}  // namespace

void drop_front(std::vector<iovec>& spans, std::size_t count)
{
    auto span = spans.begin();
    while (span != spans.end() && count >= span->iov_len)
        count -= (span++)->iov_len;
    spans.erase(spans.begin(), span);
    if (count > 0) {
        iovec& partial = spans.front();
        partial.iov_base = static_cast<char*>(partial.iov_base) + count;
        partial.iov_len -= count;
    }
}

Loop::Loop()
    : wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      plain_buffers_(std::make_unique<HeapBuffers>(kBufferBytes, kPlainBuffersMax, kPlainBuffersKept)),
      timers_(std::make_unique<TimerWheel>(monotonic_ms())),
      now_ms_(monotonic_ms())
{
}

Loop::~Loop() = default;

Result<std::unique_ptr<Loop>> Loop::make(IoKind kind)
{
    return kind == IoKind::IoUring ? RingLoop::make() : EpollLoop::make();
}

void Loop::hang(Timer& timer, std::uint64_t deadline_ms) { timers_->arm(timer, deadline_ms); }

void Loop::queue(Completion& completion, int result, Buffer buffer, bool last)
{
    ready_.push_back({&completion, result, std::move(buffer), last});
}

void Loop::drop_ready()
{
    ready_.clear();
    handled_.clear();
}

void Loop::post(Completion& completion, int result)
{
    completion.pending_ = true;
    completion.state_ = nullptr;
    queue(completion, result, {}, true);
}

Buffer Loop::take_buffer() { return plain_buffers_->take(); }

Result<void> Loop::turn()
{
    if (auto waited = wait(ready_.empty() ? timers_->wait_ms(monotonic_ms()) : 0); !waited)
        return waited;
    now_ms_ = monotonic_ms();
    if (std::exchange(woken_, false)) {
        std::uint64_t wakes = 0;
        if (::read(wake_fd_.get(), &wakes, sizeof wakes) > 0 && on_wake_)
            on_wake_();
    }
    // What the callbacks queue is for the next turn: a busy connection cannot starve the rest.
    handled_.swap(ready_);
    for (std::size_t i = 0; i < handled_.size(); ++i) {  // `stop` in a callback drops the rest
        Ready ready = std::move(handled_[i]);
        if (ready.last) {
            ready.completion->pending_ = false;
            ready.completion->state_ = nullptr;
        }
        ready.completion->complete(ready.result, std::move(ready.buffer));
    }
    handled_.clear();
    timers_->advance(now_ms_);
    return {};
}

void Loop::wake()
{
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_.get(), &one, sizeof one);
}

}  // namespace sluice::proxy
