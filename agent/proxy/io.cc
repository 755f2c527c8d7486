// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/io.h"

#include <sys/eventfd.h>

#include <limits>
#include <utility>
#include <vector>

#include "agent/proxy/epoll_loop.h"
#include "agent/proxy/ring_loop.h"
#include "agent/proxy/timer_wheel.h"
#include "base/clock.h"

namespace sluice::proxy {

Buffer::Buffer(Buffer&& other) noexcept
    : pool_(other.pool_), data_(std::exchange(other.data_, nullptr)), size_(other.size_), id_(other.id_)
{
}

Buffer& Buffer::operator=(Buffer&& other) noexcept
{
    if (this != &other) {
        reset();
        pool_ = other.pool_;
        data_ = std::exchange(other.data_, nullptr);
        size_ = other.size_;
        id_ = other.id_;
    }
    return *this;
}

void Buffer::reset()
{
    if (std::exchange(data_, nullptr) != nullptr)
        pool_->give_back(id_);
    size_ = 0;
}

// Buffers out of the heap, a few of which wait for their next use.
class Loop::Blocks final : public BufferPool {
public:
    Buffer take()
    {
        if (free_.empty()) {
            if (blocks_.size() > kMax)
                return {};
            free_.push_back(static_cast<std::uint16_t>(blocks_.size()));
            blocks_.emplace_back();
        }
        const std::uint16_t id = free_.back();
        free_.pop_back();
        if (blocks_[id] == nullptr)
            blocks_[id] = std::make_unique_for_overwrite<char[]>(kBufferBytes);
        return {this, blocks_[id].get(), kBufferBytes, id};
    }
    void give_back(std::uint16_t id) override
    {
        if (free_.size() >= kKept)
            blocks_[id].reset();
        free_.push_back(id);
    }

private:
    static constexpr std::size_t kMax = std::numeric_limits<std::uint16_t>::max();
    static constexpr std::size_t kKept = 64;
    std::vector<std::unique_ptr<char[]>> blocks_;
    std::vector<std::uint16_t> free_;
};

Loop::Loop()
    : wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      blocks_(std::make_unique<Blocks>()),
      timers_(std::make_unique<TimerWheel>(monotonic_ms())),
      now_ms_(monotonic_ms())
{
}

Loop::~Loop() = default;

Result<std::unique_ptr<Loop>> Loop::make(IoKind kind, std::string* why_not_ring)
{
    if (kind != IoKind::Epoll) {
        auto ring = RingLoop::make();
        if (ring)
            return ring;
        if (kind == IoKind::IoUring)
            return ring;
        if (why_not_ring != nullptr)
            *why_not_ring = to_string(ring.error());
    }
    return EpollLoop::make();
}

void Loop::arm(Timer& timer, std::uint32_t after_ms) { timers_->arm(timer, now_ms_ + after_ms); }

void Loop::disarm(Timer& timer) { TimerWheel::disarm(timer); }

void Loop::queue(Completion& completion, int result, Buffer buffer, bool last)
{
    ready_.push_back({&completion, result, std::move(buffer), last});
}

void Loop::post(Completion& completion, int result)
{
    completion.pending_ = true;
    completion.state_ = nullptr;
    queue(completion, result, {}, true);
}

Buffer Loop::take_buffer() { return blocks_->take(); }

Result<void> Loop::turn()
{
    if (auto waited = wait(ready_.empty() ? timers_->wait_ms(monotonic_ms()) : 0); !waited)
        return waited;
    now_ms_ = monotonic_ms();
    std::uint64_t wakes = 0;
    if (::read(wake_fd_.get(), &wakes, sizeof wakes) > 0 && on_wake_)
        on_wake_();
    // What the callbacks queue is for the next turn: a busy connection cannot starve the rest.
    for (std::size_t left = ready_.size(); left > 0 && !ready_.empty(); --left) {
        Ready ready = std::move(ready_.front());
        ready_.pop_front();
        if (ready.last) {
            ready.completion->pending_ = false;
            ready.completion->state_ = nullptr;
        }
        ready.completion->complete(ready.result, std::move(ready.buffer));
    }
    timers_->advance(now_ms_);
    return {};
}

void Loop::wake()
{
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_.get(), &one, sizeof one);
}

}  // namespace sluice::proxy
