// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 message heads and chunked framing (RFC 9110, RFC 9112), parsed in place. Strict: what the RFC leaves
// ambiguous is refused. No allocation: views point into the caller's buffer, which must outlive them.
#pragma once

#include <charconv>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "agent/proxy/field_name.h"
#include "agent/proxy/words.h"

namespace sluice::proxy::http1 {

struct Header {
    Header() = default;
    Header(std::string_view its_name, std::string_view its_value)
        : name(its_name), value(its_value), known(field_name(its_name))
    {
    }
    std::string_view name;   // as received
    std::string_view value;  // without surrounding whitespace
    FieldName known = FieldName::Other;
    bool is_line = false;  // both are views into one text that has them as "name: value" CR LF
};

enum class Framing : std::uint8_t { None, Length, Chunked, UntilClose };

enum class Status : std::uint8_t { Complete, Incomplete, Invalid };

// Why a message was refused; each maps to one answer and one counter.
enum class Reject : std::uint8_t {
    None,
    RequestLine,
    Method,
    Target,
    Version,
    StatusLine,
    HeaderName,
    HeaderValue,
    ObsFold,
    BareLineFeed,
    SpaceBeforeColon,
    HostMissing,
    HostDuplicate,
    HostInvalid,
    ContentLength,
    ContentLengthWithTransferEncoding,
    TransferEncoding,
    TransferEncodingVersion,
    RequestLineTooLong,
    HeaderTooLarge,
    HeaderTooMany,
    ChunkSize,
    ChunkExtension,
    ChunkEnd,
    TrailerTooLarge,
};
[[nodiscard]] int status_code(Reject reject);          // 400, 414, 431, 501, 505
[[nodiscard]] std::string_view reason(Reject reject);  // short text for the log and the counter's label

constexpr std::size_t kHeadersMax = 128;

struct HeadLimits {
    std::uint32_t bytes_max;
    std::uint32_t line_bytes_max;  // request line
    std::uint32_t count_max;       // at most kHeadersMax
};

struct RequestHead {
    std::string_view method;
    std::string_view target;  // as received
    std::string_view path;    // of the target, without query; "*" for asterisk-form; as received, origin-form
    std::string_view query;   // without '?'; empty when there is none
    // Host header, or that of an absolute-form target, which wins (RFC 9112 3.2.2): what the backend's Host must be.
    // host[:port]; empty only with HTTP/1.0.
    std::string_view authority;
    std::uint8_t minor_version = 1;  // HTTP/1.x
    std::uint8_t header_count = 0;
    Framing framing = Framing::None;
    bool keep_alive = true;
    bool names_fields = false;  // Connection names some that are not hop-by-hop anyway
    bool expect_continue = false;
    bool upgrade = false;  // has Connection: upgrade and an Upgrade header
    std::uint64_t content_length = 0;
    Header headers[kHeadersMax];

    // As new, but for `headers`, of which none counts then: no view into an earlier message's buffer may stay.
    void reset();
};

struct ResponseHead {
    std::uint16_t status = 0;
    std::string_view reason;
    std::uint8_t minor_version = 1;
    std::uint8_t header_count = 0;
    Framing framing = Framing::None;
    bool keep_alive = true;
    bool names_fields = false;  // Connection names some that are not hop-by-hop anyway
    std::uint64_t content_length = 0;
    Header headers[kHeadersMax];

    void reset();  // as RequestHead's
};

struct ParseResult {
    Status status = Status::Incomplete;
    Reject reject = Reject::None;
    std::uint32_t head_bytes = 0;  // with Complete: where the body begins
};

// Restarts from the beginning of `data` at each call; bounded by the limits, so hostile trickling costs O(limit) each.
// An empty line before the request line is skipped (RFC 9112 2.2), one at most.
[[nodiscard]] ParseResult parse_request(std::string_view data, const HeadLimits& limits, RequestHead& out);
// `request_method` decides the framing of HEAD; a 101, 1xx, 204 or 304 has none.
[[nodiscard]] ParseResult parse_response(std::string_view data, const HeadLimits& limits,
                                         std::string_view request_method, ResponseHead& out);

[[nodiscard]] bool equals_ignoring_case_of_size(const char* a, const char* b, std::size_t size);
[[nodiscard]] inline bool equals_ignoring_case(std::string_view a, std::string_view b)
{
    constexpr int kCase = 0x20;  // the bit in which a letter's cases differ; the first bytes tell most names apart
    return a.size() == b.size() &&
           (a.empty() || (((a[0] ^ b[0]) & ~kCase) == 0 && equals_ignoring_case_of_size(a.data(), b.data(), a.size())));
}
// The first field of that name; nullptr: none.
[[nodiscard]] const Header* find_field(std::span<const Header> headers, FieldName name);
// Its value; empty: none.
[[nodiscard]] std::string_view value_of(std::span<const Header> headers, FieldName name);
[[nodiscard]] std::string_view value_of(std::span<const Header> headers, std::string_view name);
// Whether a field `name` among these lists `token`.
[[nodiscard]] bool has_token(std::span<const Header> headers, std::string_view name, std::string_view token);

// A number in decimal.
class NumberText {
public:
    explicit NumberText(std::uint64_t value) : end_(std::to_chars(text_, text_ + sizeof text_, value).ptr) {}
    NumberText(const NumberText&) = delete;
    NumberText& operator=(const NumberText&) = delete;
    [[nodiscard]] std::string_view view() const { return {text_, end_}; }

private:
    char text_[24];
    const char* end_;
};

namespace detail {

// Of a literal, whose length is known wherever this is called.
template <std::size_t Size> [[nodiscard]] std::string_view text_of(const char (&literal)[Size])
{
    return {literal, Size - 1};
}
[[nodiscard]] inline std::string_view text_of(std::string_view text) { return text; }

}  // namespace detail

// Appends all parts, literals or views, to a head: no more than one growth of it.
template <class... Parts> void append(std::string& head, const Parts&... parts)
{
    const std::size_t before = head.size();
    const std::size_t after = (before + ... + detail::text_of(parts).size());
    if (head.capacity() < after)
        head.reserve(2 * after);
    head.resize_and_overwrite(after, [&](char* text, std::size_t size) {
        char* at = text + before;
        const auto add = [&at](std::string_view part) {
            std::char_traits<char>::copy(at, part.data(), part.size());
            at += part.size();
        };
        (add(detail::text_of(parts)), ...);
        return size;
    });
}
// Appends a field's line. Of a name that is a literal only constants remain.
template <class Name> void append_field(std::string& head, const Name& name, std::string_view value)
{
    append(head, name, ": ", value, "\r\n");
}
// The same for those of `headers` that `passes(header)`: neighbours that came as lines in one copy.
template <class Passes> void append_fields(std::string& head, std::span<const Header> headers, const Passes& passes)
{
    const char* run = nullptr;
    const char* run_end = nullptr;
    const auto append_run = [&] {
        if (run != run_end)
            head.append(run, run_end);
        run = run_end = nullptr;
    };
    for (const Header& header : headers) {
        if (!passes(header))
            continue;
        if (run_end != header.name.data() || !header.is_line)
            append_run();
        if (!header.is_line) {
            append_field(head, header.name, header.value);
            continue;
        }
        if (run == nullptr)
            run = header.name.data();
        run_end = header.value.data() + header.value.size() + 2;
    }
    append_run();
}

// Bytes of chunk extensions beyond what the data outweighs, and bytes of trailers: both are read and dropped.
constexpr std::uint32_t kChunkOverheadMax = 8 * 1024;

// Walks a chunked body. Feed it bytes in any pieces; it says how many of them are body data and where.
class ChunkedDecoder {
public:
    struct Step {
        Status status = Status::Incomplete;  // Complete: the last chunk and the trailers are over
        Reject reject = Reject::None;
        std::size_t consumed = 0;  // bytes of the input used by this step
        std::string_view data;     // body bytes within the consumed part; may be empty
    };
    // One step: at most one run of data. Call again with the rest until nothing is consumed or it is complete.
    [[nodiscard]] Step next(std::string_view input);
    void reset() { *this = ChunkedDecoder{}; }

private:
    enum class State : std::uint8_t {
        Size,
        Extension,
        SizeLf,
        Data,
        DataCr,
        DataLf,
        TrailerStart,
        TrailerName,
        TrailerValue,
        TrailerLf,
        EndLf,
        Done,
        Failed
    };
    Reject take(char c);  // one byte of framing
    Reject take_size(char c);
    Reject take_trailer(char c);
    Reject end_of_size_line();

    State state_ = State::Size;
    Reject reject_ = Reject::None;
    std::uint8_t digits_ = 0;
    std::uint32_t overhead_ = 0;  // against kChunkOverheadMax
    std::uint64_t remaining_ = 0;
};

}  // namespace sluice::proxy::http1
