// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/http1_body.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace sluice::proxy {
namespace {

iovec span_of(std::string_view text)
{
    return {const_cast<char*>(text.data()), text.size()};  // iovec has no const form; a send only reads
}

}  // namespace

void BodyReader::begin(http1::Framing framing, std::uint64_t length)
{
    framing_ = framing;
    left_ = length;
    done_ = framing == http1::Framing::None || (framing == http1::Framing::Length && length == 0);
    decoder_.reset();
    is_full_ = false;
}

bool BodyReader::take(Bytes& in, Bytes& data)
{
    if (done_ || in.empty())
        return true;
    is_full_ = framing_ != http1::Framing::Length && in.size() >= kBufferBytes;
    if (framing_ == http1::Framing::Chunked)
        return take_chunks(in, data);
    if (framing_ == http1::Framing::UntilClose) {
        data = std::exchange(in, {});
        return true;
    }
    const std::size_t count = std::min<std::uint64_t>(left_, in.size());
    left_ -= count;
    done_ = left_ == 0;
    data = in.split(count, count);
    return true;
}

// The data of all chunks that are here moves together, over their framing.
bool BodyReader::take_chunks(Bytes& in, Bytes& data)
{
    const std::string_view view = in.view();
    std::size_t used = 0;
    std::size_t kept = 0;
    while (used < view.size() && !done_) {
        const auto step = decoder_.next(view.substr(used));
        if (step.status == http1::Status::Invalid)
            return false;
        if (!step.data.empty()) {
            std::memmove(in.data() + kept, step.data.data(), step.data.size());
            kept += step.data.size();
        }
        used += step.consumed;
        done_ = step.status == http1::Status::Complete;
        if (step.consumed == 0)
            break;
    }
    data = in.split(kept, used);
    return true;
}

bool BodyReader::end_of_input()
{
    if (framing_ == http1::Framing::UntilClose)
        done_ = true;
    return done_;
}

void Http1Output::set_body(Bytes body, bool chunked, bool end)
{
    constexpr std::size_t kCopiedMax = 1024;  // cheaper than a span more for the kernel, and the buffer is free at once
    constexpr std::string_view kTail = "\r\n0\r\n\r\n";
    has_body_ = true;
    const std::string_view data = body.view();
    if (chunked && !data.empty()) {
        char digits[16];
        head.append(digits, std::to_chars(digits, digits + sizeof digits, data.size(), 16).ptr) += "\r\n";
    }
    if (chunked && !data.empty())
        tail_ = end ? kTail : kTail.substr(0, 2);
    else if (chunked && end)
        tail_ = kTail.substr(2);
    if (data.size() > kCopiedMax) {
        body_ = std::move(body);
        return;
    }
    http1::append(head, data, std::exchange(tail_, {}));
}

std::span<const iovec> Http1Output::spans()
{
    std::size_t count = 0;
    for (const std::string_view part : {std::string_view(head), body_.view(), tail_}) {
        if (!part.empty())
            spans_[count++] = span_of(part);
    }
    return {spans_.data(), count};
}

void Http1Output::clear()
{
    head.clear();
    body_.clear();
    tail_ = {};
    has_body_ = false;
}

}  // namespace sluice::proxy
