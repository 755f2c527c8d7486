// SPDX-License-Identifier: Apache-2.0
// The request head: request line and target forms (RFC 9112 section 3), Host, framing (section 6).
#include <algorithm>

#include "agent/proxy/http1_grammar.h"

namespace sluice::proxy::http1 {
namespace {

constexpr std::size_t kMethodBytesMax = 32;

Verdict read_method(Cursor& cursor, RequestHead& out)
{
    const char* const start = cursor.at;
    cursor.skip(kToken);
    out.method = cursor.since(start);
    if (out.method.size() > kMethodBytesMax)
        return invalid(Reject::Method);
    if (cursor.done())
        return {Status::Incomplete};
    if (*cursor.at == '\n')
        return invalid(Reject::BareLineFeed);
    if (*cursor.at != ' ' || out.method.empty())
        return invalid(Reject::RequestLine);
    ++cursor.at;
    return is_text(out.method, "CONNECT") ? invalid(Reject::Method) : Verdict{};
}

Verdict read_target(Cursor& cursor, RequestHead& out)
{
    const char* const start = cursor.at;
    cursor.skip(kTarget);
    out.target = cursor.since(start);
    if (cursor.done())
        return {Status::Incomplete};
    if (*cursor.at == '\n')
        return invalid(Reject::BareLineFeed);
    if (out.target.empty() || *cursor.at == '\r')
        return invalid(Reject::RequestLine);
    if (*cursor.at != ' ')
        return invalid(Reject::Target);
    ++cursor.at;
    return {};
}

Verdict read_version(Cursor& cursor, RequestHead& out)
{
    constexpr char kUsual[] = "HTTP/1.1\r\n";
    if (has_prefix(cursor.rest(), kUsual)) {
        out.minor_version = 1;
        cursor.at += sizeof kUsual - 1;
        return {};
    }
    constexpr std::string_view kShape = "HTTP/0.0";
    const char* const start = cursor.at;
    for (const char shape : kShape) {
        if (cursor.done())
            return {Status::Incomplete};
        if (*cursor.at == '\n')
            return invalid(Reject::BareLineFeed);
        if (shape == '0' ? !is_digit(*cursor.at) : *cursor.at != shape)
            return invalid(Reject::RequestLine);
        ++cursor.at;
    }
    if (const Verdict verdict = take_line_end(cursor, Reject::RequestLine); verdict.status != Status::Complete)
        return verdict;
    if (start[5] != '1' || start[7] > '1')
        return invalid(Reject::Version);
    out.minor_version = static_cast<std::uint8_t>(start[7] - '0');
    return {};
}

// `rest` is origin-form, or what follows the authority of an absolute-form: a path, a query, both or nothing.
bool split_path(std::string_view rest, RequestHead& out)
{
    const std::size_t mark = rest.find('?');
    out.path = rest.substr(0, mark);
    out.query = mark == std::string_view::npos ? std::string_view{} : rest.substr(mark + 1);
    Cursor cursor{out.path.data(), out.path.data() + out.path.size()};
    cursor.skip(kPath);
    return cursor.done();
}

bool split_absolute_form(RequestHead& out)
{
    const std::size_t scheme_end = out.target.find("://");
    if (scheme_end == std::string_view::npos)
        return false;
    const std::string_view scheme = out.target.substr(0, scheme_end);
    if (!equals_ignoring_case(scheme, "http") && !equals_ignoring_case(scheme, "https"))
        return false;
    const std::string_view rest = out.target.substr(scheme_end + 3);
    const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
    out.authority = rest.substr(0, authority_end);
    if (!is_authority(out.authority) || !split_path(rest.substr(authority_end), out))
        return false;
    if (out.path.empty())  // RFC 9112 section 3.2.4 for OPTIONS
        out.path = out.method == "OPTIONS" && authority_end == rest.size() ? "*" : "/";
    return true;
}

bool split_target(RequestHead& out)
{
    if (out.target.front() == '/')
        return split_path(out.target, out);
    if (out.target == "*") {
        out.path = out.target;
        return out.method == "OPTIONS";
    }
    return split_absolute_form(out);
}

// The request line, with `line_bytes_max` counted without its CR LF.
Verdict read_request_line(Cursor& cursor, std::size_t line_bytes_max, RequestHead& out)
{
    if (!cursor.done() && (*cursor.at == '\r' || *cursor.at == '\n')) {
        if (const Verdict verdict = take_line_end(cursor, Reject::RequestLine); verdict.status != Status::Complete)
            return verdict;
    }
    Cursor line{cursor.at, cursor.at + std::min(static_cast<std::size_t>(cursor.end - cursor.at), line_bytes_max + 2)};
    const bool is_cut = static_cast<std::size_t>(line.end - line.at) == line_bytes_max + 2;
    Verdict verdict = read_method(line, out);
    if (verdict.status == Status::Complete)
        verdict = read_target(line, out);
    if (verdict.status == Status::Complete)
        verdict = read_version(line, out);
    if (verdict.status == Status::Complete && !split_target(out))
        verdict = invalid(Reject::Target);
    if (verdict.status == Status::Incomplete && is_cut)
        verdict = invalid(Reject::RequestLineTooLong);
    cursor.at = line.at;
    return verdict;
}

Reject check_host(const Fields& fields, RequestHead& out)
{
    if (fields.hosts > 1)
        return Reject::HostDuplicate;
    if (fields.hosts == 0)
        return out.minor_version == 0 ? Reject::None : Reject::HostMissing;
    if (!is_authority(fields.host))
        return Reject::HostInvalid;
    if (out.authority.empty())
        out.authority = fields.host;
    return Reject::None;
}

Reject finish(const Fields& fields, RequestHead& out)
{
    if (const Reject reject = check_host(fields, out); reject != Reject::None)
        return reject;
    if (const Reject reject = check_framing(fields, out.minor_version); reject != Reject::None)
        return reject;
    out.header_count = fields.count;
    out.framing = fields.chunked ? Framing::Chunked : fields.has_length ? Framing::Length : Framing::None;
    out.content_length = fields.length;
    out.keep_alive = is_kept_alive(fields, out.minor_version);
    out.names_fields = fields.names_fields;
    const bool has_body = fields.chunked || fields.length > 0;
    out.expect_continue = fields.expect_continue && has_body && out.minor_version == 1;
    out.upgrade = fields.upgrade && fields.connection_upgrade && out.minor_version == 1;
    return Reject::None;
}

}  // namespace

ParseResult parse_request(std::string_view data, const HeadLimits& limits, RequestHead& out)
{
    const std::string_view head = data.substr(0, limits.bytes_max);
    Cursor cursor{head.data(), head.data() + head.size()};
    const auto incomplete_at_limit = [&](Verdict verdict, Reject reject) {
        return verdict.status == Status::Incomplete && head.size() == limits.bytes_max ? invalid(reject) : verdict;
    };
    out.reset();
    Verdict verdict =
        incomplete_at_limit(read_request_line(cursor, limits.line_bytes_max, out), Reject::RequestLineTooLong);
    if (verdict.status != Status::Complete)
        return {verdict.status, verdict.reject, 0};
    Fields fields;
    verdict = incomplete_at_limit(read_fields(cursor, kRequestName, limits.count_max, out.headers, fields),
                                  Reject::HeaderTooLarge);
    if (verdict.status != Status::Complete)
        return {verdict.status, verdict.reject, 0};
    if (const Reject reject = finish(fields, out); reject != Reject::None)
        return {Status::Invalid, reject, 0};
    return {Status::Complete, Reject::None, static_cast<std::uint32_t>(cursor.at - head.data())};
}

}  // namespace sluice::proxy::http1
