// SPDX-License-Identifier: Apache-2.0
// The response head: status line and framing (RFC 9112 sections 4 and 6). Field names may hold '_' here: backends send
// them, and nobody routes by them.
#include "agent/proxy/http1_grammar.h"

namespace sluice::proxy::http1 {
namespace {

Verdict read_status_line(Cursor& cursor, ResponseHead& out)
{
    constexpr std::string_view kShape = "HTTP/0.0 000";
    constexpr char kUsual[] = "HTTP/1.1 ";
    const char* const start = cursor.at;
    std::string_view shape = kShape;
    if (has_prefix(cursor.rest(), kUsual)) {
        cursor.at += sizeof kUsual - 1;
        shape.remove_prefix(sizeof kUsual - 1);
    }
    for (const char wanted : shape) {
        if (cursor.done())
            return {Status::Incomplete};
        if (*cursor.at == '\n')
            return invalid(Reject::BareLineFeed);
        if (wanted == '0' ? !is_digit(*cursor.at) : *cursor.at != wanted)
            return invalid(Reject::StatusLine);
        ++cursor.at;
    }
    if (start[5] != '1' || start[7] > '1')
        return invalid(Reject::Version);
    out.minor_version = static_cast<std::uint8_t>(start[7] - '0');
    const int status = (start[9] - '0') * 100 + (start[10] - '0') * 10 + (start[11] - '0');
    if (status < 100 || status > 599)
        return invalid(Reject::StatusLine);
    out.status = static_cast<std::uint16_t>(status);
    out.reason = {};
    if (cursor.done())
        return {Status::Incomplete};
    if (*cursor.at == ' ') {  // the space is left out by many servers when the reason is
        ++cursor.at;
        out.reason = cursor.take_text();
    }
    return take_line_end(cursor, Reject::StatusLine);
}

void set_framing(const Fields& fields, std::string_view request_method, ResponseHead& out)
{
    out.content_length = fields.length;
    out.keep_alive = is_kept_alive(fields, out.minor_version);
    out.names_fields = fields.names_fields;
    const bool is_bodiless = out.status < 200 || out.status == 204;
    if (is_bodiless || out.status == 304 || request_method == "HEAD") {
        out.framing = Framing::None;
        // A body announced where none may be: what follows on this connection cannot be trusted.
        if (is_bodiless && (fields.chunked || fields.length > 0))
            out.keep_alive = false;
        return;
    }
    if (fields.chunked) {
        out.framing = Framing::Chunked;
    } else if (fields.has_length) {
        out.framing = Framing::Length;
    } else {
        out.framing = Framing::UntilClose;
        out.keep_alive = false;
    }
}

}  // namespace

ParseResult parse_response(std::string_view data, const HeadLimits& limits, std::string_view request_method,
                           ResponseHead& out)
{
    const std::string_view head = data.substr(0, limits.bytes_max);
    Cursor cursor{head.data(), head.data() + head.size()};
    out.reset();
    Fields fields;
    Verdict verdict = read_status_line(cursor, out);
    if (verdict.status == Status::Complete)
        verdict = read_fields(cursor, kToken, limits.count_max, out.headers, fields);
    if (verdict.status == Status::Incomplete && head.size() == limits.bytes_max)
        verdict = invalid(Reject::HeaderTooLarge);
    if (verdict.status != Status::Complete)
        return {verdict.status, verdict.reject, 0};
    if (const Reject reject = check_framing(fields, out.minor_version); reject != Reject::None)
        return {Status::Invalid, reject, 0};
    out.header_count = fields.count;
    set_framing(fields, request_method, out);
    return {Status::Complete, Reject::None, static_cast<std::uint32_t>(cursor.at - head.data())};
}

}  // namespace sluice::proxy::http1
