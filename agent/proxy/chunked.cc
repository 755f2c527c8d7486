// SPDX-License-Identifier: Apache-2.0
// Chunked framing (RFC 9112 section 7.1). Every line ends in CR LF; extensions and trailers are checked, bounded and
// dropped.
#include <algorithm>

#include "agent/proxy/http1_grammar.h"

namespace sluice::proxy::http1 {
namespace {

constexpr std::uint8_t kSizeDigitsMax = 16;
constexpr std::uint64_t kSizeLimit = std::uint64_t{1} << 60;  // sums of sizes cannot wrap

Reject expect(char c, char wanted, Reject otherwise)
{
    if (c == wanted)
        return Reject::None;
    return c == '\n' ? Reject::BareLineFeed : otherwise;
}

}  // namespace

Reject ChunkedDecoder::take_size(char c)
{
    if (const int digit = hex_value(c); digit >= 0) {
        if (digits_ == kSizeDigitsMax || remaining_ >= kSizeLimit / 16)
            return Reject::ChunkSize;
        ++digits_;
        remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(digit);
        return Reject::None;
    }
    if (digits_ == 0 || (c != ';' && c != '\r'))
        return c == '\n' ? Reject::BareLineFeed : Reject::ChunkSize;
    state_ = c == ';' ? State::Extension : State::SizeLf;
    return Reject::None;
}

Reject ChunkedDecoder::end_of_size_line()
{
    digits_ = 0;
    state_ = remaining_ == 0 ? State::TrailerStart : State::Data;
    // Data pays for extensions: a long stream may carry one on every chunk, a body of extensions only may not.
    const auto credit = static_cast<std::uint32_t>(std::min<std::uint64_t>(remaining_, overhead_));
    overhead_ = state_ == State::TrailerStart ? 0 : overhead_ - credit;
    return Reject::None;
}

Reject ChunkedDecoder::take_trailer(char c)
{
    if (++overhead_ > kChunkOverheadMax)
        return Reject::TrailerTooLarge;
    switch (state_) {
    case State::TrailerStart:
        if (c == '\r') {
            state_ = State::EndLf;
            return Reject::None;
        }
        if (c == ' ' || c == '\t')
            return Reject::ObsFold;
        if (!is(c, kToken))
            return c == '\n' ? Reject::BareLineFeed : Reject::HeaderName;
        state_ = State::TrailerName;
        return Reject::None;
    case State::TrailerName:
        if (is(c, kToken))
            return Reject::None;
        if (c == ' ' || c == '\t')
            return Reject::SpaceBeforeColon;
        state_ = State::TrailerValue;
        return expect(c, ':', Reject::HeaderName);
    case State::TrailerValue:
        if (is(c, kText))
            return Reject::None;
        state_ = State::TrailerLf;
        return expect(c, '\r', Reject::HeaderValue);
    default:  // TrailerLf
        state_ = State::TrailerStart;
        return c == '\n' ? Reject::None : Reject::HeaderValue;
    }
}

Reject ChunkedDecoder::take(char c)
{
    switch (state_) {
    case State::Size: return take_size(c);
    case State::Extension:
        if (is(c, kText))
            return ++overhead_ > kChunkOverheadMax ? Reject::ChunkExtension : Reject::None;
        state_ = State::SizeLf;
        return expect(c, '\r', Reject::ChunkExtension);
    case State::SizeLf: return c == '\n' ? end_of_size_line() : Reject::ChunkSize;
    case State::DataCr: state_ = State::DataLf; return expect(c, '\r', Reject::ChunkEnd);
    case State::DataLf: state_ = State::Size; return c == '\n' ? Reject::None : Reject::ChunkEnd;
    case State::EndLf: state_ = State::Done; return c == '\n' ? Reject::None : Reject::ChunkEnd;
    default: return take_trailer(c);
    }
}

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view input)
{
    Step step;
    while (step.consumed < input.size() && state_ != State::Done && state_ != State::Failed) {
        if (state_ == State::Data) {
            step.data = input.substr(step.consumed, static_cast<std::size_t>(std::min<std::uint64_t>(
                                                        remaining_, input.size() - step.consumed)));
            step.consumed += step.data.size();
            remaining_ -= step.data.size();
            if (remaining_ == 0)
                state_ = State::DataCr;
            return step;
        }
        reject_ = take(input[step.consumed]);
        if (reject_ != Reject::None)
            state_ = State::Failed;
        else
            ++step.consumed;
    }
    step.reject = reject_;
    step.status = state_ == State::Failed ? Status::Invalid
                  : state_ == State::Done ? Status::Complete
                                          : Status::Incomplete;
    return step;
}

}  // namespace sluice::proxy::http1
