// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/forwarded_head.h"

#include <algorithm>

#include "agent/proxy/http1_grammar.h"

namespace sluice::proxy {
namespace {

// Whether a field that came is not to pass, for a modifier sets or removes it.
bool is_replaced(const model::HeaderModifier& modifier, std::string_view name)
{
    const auto is_it = [name](std::string_view other) { return http1::equals_ignoring_case(name, other); };
    return std::ranges::any_of(modifier.set, [&](const model::HeaderField& field) { return is_it(field.name); }) ||
           std::ranges::any_of(modifier.remove, is_it);
}

class Writer {
public:
    Writer(ForwardedHead& out, bool to_http2) : out_(&out), to_http2_(to_http2) {}
    // A field of HTTP/1's form alone.
    template <class Name> void line(const Name& name, std::string_view value)
    {
        http1::append_field(out_->text, name, value);
    }
    template <class Name> void field(const Name& name, std::string_view value)
    {
        const std::size_t at = out_->text.size();
        line(name, value);
        if (to_http2_)
            note(at, std::string_view(name).size(), value.size());
    }
    // Those of `headers` that `passes(header)`.
    template <class Passes> void fields(std::span<const http1::Header> headers, const Passes& passes)
    {
        if (!to_http2_)
            return http1::append_fields(out_->text, headers, passes);
        for (const http1::Header& header : headers) {
            if (passes(header))
                field(header.name, header.value);
        }
    }

private:
    void note(std::size_t at, std::size_t name_size, std::size_t value_size)
    {
        out_->fields.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + name_size + 2),
                                static_cast<std::uint32_t>(value_size), static_cast<std::uint16_t>(name_size)});
    }

    ForwardedHead* out_;
    bool to_http2_;
};

// Methods that may be sent twice without harm (RFC 9110 section 9.2.2).
bool is_idempotent(std::string_view method)
{
    using http1::is_text;
    return is_text(method, "GET") || is_text(method, "HEAD") || is_text(method, "OPTIONS") ||
           is_text(method, "TRACE") || is_text(method, "PUT") || is_text(method, "DELETE");
}

// Methods whose requests have a body as a rule: without one they say so to an HTTP/1 backend (RFC 9110 section 8.6).
bool expects_length(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

// To HTTP/2 an empty body that was not ended by the head goes as it came: gRPC servers wait for its DATA frame
// (PROTOCOL-HTTP2.md of gRPC, EOS).
void write_framing(Writer& writer, ForwardedHead& out, const http1::RequestHead& head, bool end, bool to_http2)
{
    out.framing = end && !(to_http2 && head.framing == http1::Framing::Chunked) ? http1::Framing::None : head.framing;
    if (head.framing == http1::Framing::Length) {
        writer.field("Content-Length", http1::NumberText(head.content_length).view());
    } else if (!end) {
        out.framing = http1::Framing::Chunked;
        writer.line("Transfer-Encoding", "chunked");
    } else if (!to_http2 && (head.framing == http1::Framing::Chunked || expects_length(head.method))) {
        writer.field("Content-Length", "0");
    }
}

// A protocol that would carry more requests, past routes, filters and limits, or hide them, is not passed on: h2c
// (RFC 7540 section 3.2), HTTP itself and TLS (RFC 2817).
bool may_upgrade(std::span<const http1::Header> headers)
{
    for (std::string_view list = http1::value_of(headers, http1::FieldName::Upgrade); !list.empty();) {
        const std::string_view protocol = http1::next_element(list);
        const std::string_view name = protocol.substr(0, protocol.find('/'));
        for (const std::string_view barred : {"h2c", "h2", "http", "tls"}) {
            if (http1::equals_ignoring_case(name, barred))
                return false;
        }
    }
    return true;
}

// X-Forwarded-*: our own, or those of a trusted proxy before us, and ours added.
void write_forwarded_fields(Writer& writer, std::span<const http1::Header> headers, const Arrival& from,
                            std::string_view authority)
{
    std::string chain;
    std::string_view addresses = from.peer;
    std::string_view scheme = from.tls ? "https" : "http";
    if (from.trusted) {
        for (const http1::Header& header : headers) {
            if (header.known == http1::FieldName::XForwardedFor && !header.value.empty())
                chain.append(header.value).append(", ");
        }
        addresses = chain.append(from.peer);
        const std::string_view said = http1::value_of(headers, http1::FieldName::XForwardedProto);
        if (said == "http" || said == "https")
            scheme = said;
        const std::string_view host = http1::value_of(headers, http1::FieldName::XForwardedHost);
        if (http1::is_authority(host))
            authority = host;
    }
    writer.field("X-Forwarded-For", addresses);
    writer.field("X-Forwarded-Proto", scheme);
    writer.field("X-Forwarded-Host", authority);
}

}  // namespace

void write_forwarded_head(ForwardedHead& out, const http1::RequestHead& head, std::string_view path,
                          const Arrival& from, const model::HeaderModifier& modifier, bool end, bool to_http2)
{
    const std::span<const http1::Header> headers(head.headers, head.header_count);
    // An upgrade with a body is forwarded as the plain request that it is too: a tunnel could begin amid the body.
    out.upgrade = head.upgrade && end && !to_http2 && may_upgrade(headers);
    out.is_head = http1::is_text(head.method, "HEAD");
    out.is_idempotent = is_idempotent(head.method);
    // HTTP/1.0 without Host
    const std::string own_authority = head.authority.empty() ? from.local.to_string() : std::string();
    const std::string_view authority = head.authority.empty() ? own_authority : head.authority;
    const std::string_view mark = std::string_view("?").substr(head.query.empty() ? 1 : 0);
    if (to_http2) {
        out.method.assign(head.method);
        out.authority.assign(authority);
        out.path.assign(path).append(mark).append(head.query);
        out.fields.clear();
    }
    std::string& text = out.text;
    text.clear();
    http1::append(text, head.method, " ", path, mark, head.query, " HTTP/1.1\r\nHost: ", authority, "\r\n");
    Writer writer(out, to_http2);
    writer.fields(headers, [&](const http1::Header& header) {
        return !http1::is_hop_by_hop(header.known) && !http1::is_owned_by_gateway(header.known) &&
               !(head.names_fields && http1::has_token(headers, "connection", header.name)) &&
               !is_replaced(modifier, header.name);
    });
    for (const auto* fields : {&modifier.set, &modifier.add}) {
        for (const model::HeaderField& field : *fields)
            writer.field(field.name, field.value);
    }
    write_forwarded_fields(writer, headers, from, authority);
    write_framing(writer, out, head, end, to_http2);
    if (to_http2 && http1::has_token(headers, "te", "trailers"))
        writer.field("te", "trailers");
    if (out.upgrade) {
        writer.line("Connection", "upgrade");
        writer.line("Upgrade", http1::value_of(headers, http1::FieldName::Upgrade));
    }
    http1::append(text, "\r\n");
}

std::string redirect_location(const model::Redirect& redirect, const http1::RequestHead& head, std::string_view path,
                              const model::PathMatch& matched, const Arrival& from)
{
    constexpr std::uint16_t kHttp = 80;
    constexpr std::uint16_t kHttps = 443;
    const std::string scheme = !redirect.scheme.empty() ? redirect.scheme : from.tls ? "https" : "http";
    const std::uint16_t usual = scheme == "https" ? kHttps : kHttp;
    std::string location = scheme + "://";
    if (!redirect.hostname.empty())
        location += redirect.hostname;
    else if (head.authority.empty())
        location += from.local.address.to_string();
    else
        location += head.authority.substr(
            0, head.authority.find(':', head.authority.starts_with('[') ? head.authority.find(']') : 0));
    // Without a port that of the scheme, if one is given, else the listener's.
    const std::uint16_t port = redirect.port.value_or(redirect.scheme.empty() ? from.local.port : usual);
    if (port != usual)
        location += ":" + std::to_string(port);
    std::string_view rest = path;
    if (redirect.full_path) {
        location += *redirect.full_path;
        rest = {};
    } else if (redirect.prefix) {
        std::string_view prefix = matched.value;
        while (prefix.ends_with('/'))
            prefix.remove_suffix(1);
        rest.remove_prefix(std::min(prefix.size(), rest.size()));
        std::string_view instead = *redirect.prefix;
        while (instead.ends_with('/'))
            instead.remove_suffix(1);
        location += instead;
        if (instead.empty() && rest.empty())
            location += '/';
    }
    location += rest;
    if (!head.query.empty()) {
        location += '?';
        location += head.query;
    }
    return location;
}

ResponseFilter::ResponseFilter(const http1::ResponseHead& head, const model::HeaderModifier* modifier)
    : headers_(head.headers, head.header_count),
      modifier_(modifier),
      names_fields_(head.names_fields),
      owns_length_(head.framing != http1::Framing::None || head.status == 204 || head.status < 200)
{
}

bool ResponseFilter::passes(const http1::Header& header) const
{
    if (http1::is_hop_by_hop(header.known))
        return false;
    if (owns_length_ && header.known == http1::FieldName::ContentLength)
        return false;
    if (modifier_ != nullptr && is_replaced(*modifier_, header.name))
        return false;
    return !names_fields_ || !http1::has_token(headers_, "connection", header.name);
}

}  // namespace sluice::proxy
