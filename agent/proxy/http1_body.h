// SPDX-License-Identifier: Apache-2.0
// Bodies of HTTP/1 messages: taken off the input by their framing, and framed anew for the other side.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "agent/proxy/bytes.h"
#include "agent/proxy/http1.h"

namespace sluice::proxy {

class BodyReader {
public:
    void begin(http1::Framing framing, std::uint64_t length);
    // Moves the body data at the front of `in` to the result, without chunk framing; empty when there is none yet.
    // What follows the body stays in `in`. False: the body is malformed.
    [[nodiscard]] bool take(Bytes& in, Bytes& data);
    // The other side ended the stream. False: that was too early.
    [[nodiscard]] bool end_of_input();
    [[nodiscard]] bool done() const { return done_; }
    // What the next receive is likely to find.
    [[nodiscard]] Amount amount() const { return left_ > kBufferBytes || is_full_ ? Amount::Bulk : Amount::Usual; }

private:
    [[nodiscard]] bool take_chunks(Bytes& in, Bytes& data);
    http1::Framing framing_ = http1::Framing::None;
    bool done_ = true;
    bool is_full_ = false;  // the last piece was as large as the usual buffer, or larger
    std::uint64_t left_ = 0;
    http1::ChunkedDecoder decoder_;
};

// What HTTP/1 sends at once: a head and a piece of a body, as chunk or as it is. Owns both until they are sent.
class Http1Output {
public:
    std::string head;
    // Once, behind the whole head.
    void set_body(Bytes body, bool chunked, bool end);
    [[nodiscard]] bool has_body() const { return has_body_; }
    // May be none, where an empty body ends without a word. Valid while this stays where it is.
    [[nodiscard]] std::span<const iovec> spans();
    void clear();

private:
    Bytes body_;             // empty where `head` has it
    std::string_view tail_;  // that ends the chunk, or the body
    bool has_body_ = false;
    std::array<iovec, 3> spans_{};
};

// Those of a worker, empty, the last one given back first. A connection has one only while something of it waits to be
// sent: most are given back in the turn that took them, so that a few serve all and stay in the caches.
class Http1OutputPool {
public:
    [[nodiscard]] std::unique_ptr<Http1Output> take()
    {
        if (spare_.empty())
            return std::make_unique<Http1Output>();
        auto result = std::move(spare_.back());
        spare_.pop_back();
        return result;
    }
    void give_back(std::unique_ptr<Http1Output> output)
    {
        constexpr std::size_t kSpareMax = 256;
        if (spare_.size() >= kSpareMax)
            return;
        output->clear();
        spare_.push_back(std::move(output));
    }

private:
    std::vector<std::unique_ptr<Http1Output>> spare_;
};

}  // namespace sluice::proxy
