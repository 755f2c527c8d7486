// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>

#include "agent/proxy/http_connection.h"

namespace sluice::proxy {
namespace {

iovec span_of(std::string_view text)
{
    return {const_cast<char*>(text.data()), text.size()};  // iovec has no const form; a send only reads
}

}  // namespace

void BodyPipe::begin(http1::Framing in, std::uint64_t length, bool chunk_out)
{
    in_ = in;
    left_ = length;
    chunk_out_ = chunk_out;
    done_ = in == http1::Framing::None || (in == http1::Framing::Length && length == 0);
    decoder_.reset();
}

void BodyPipe::frame(std::string_view data, Piece& piece)
{
    if (!chunk_out_) {
        if (!data.empty())
            piece.spans[piece.count++] = span_of(data);
        return;
    }
    if (!data.empty()) {
        const int length = std::snprintf(size_line_, sizeof size_line_, "%zx\r\n", data.size());
        piece.spans[piece.count++] = span_of({size_line_, static_cast<std::size_t>(length)});
        piece.spans[piece.count++] = span_of(data);
    }
    const std::string_view end = done_ ? (data.empty() ? "0\r\n\r\n" : "\r\n0\r\n\r\n") : "\r\n";
    piece.spans[piece.count++] = span_of(end);
}

bool BodyPipe::next(std::string_view data, Piece& piece)
{
    piece = {};
    if (done_ || data.empty())
        return true;
    if (in_ != http1::Framing::Chunked) {
        piece.used = in_ == http1::Framing::Length ? std::min<std::uint64_t>(left_, data.size()) : data.size();
        if (in_ == http1::Framing::Length) {
            left_ -= piece.used;
            done_ = left_ == 0;
        }
        frame(data.substr(0, piece.used), piece);
        return true;
    }
    while (piece.used < data.size()) {
        const auto step = decoder_.next(data.substr(piece.used));
        piece.used += step.consumed;
        if (step.status == http1::Status::Invalid)
            return false;
        done_ = step.status == http1::Status::Complete;
        if (!step.data.empty() || done_) {
            frame(step.data, piece);
            return true;
        }
        if (step.consumed == 0)
            return true;
    }
    return true;
}

bool BodyPipe::end_of_input(Piece& piece)
{
    piece = {};
    if (in_ != http1::Framing::UntilClose)
        return done_;
    done_ = true;
    frame({}, piece);
    return true;
}

}  // namespace sluice::proxy
