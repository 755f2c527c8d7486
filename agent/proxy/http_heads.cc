// SPDX-License-Identifier: Apache-2.0
// The heads that HttpConnection writes: what is forwarded of the other side's fields, and what is added.
#include <array>

#include "agent/proxy/http_connection.h"

namespace sluice::proxy {
namespace {

void add_field(std::string& head, std::string_view name, std::string_view value)
{
    head += name;
    head += ": ";
    head += value;
    head += "\r\n";
}

// Fields that the gateway writes itself: a client's own are never passed on.
bool is_owned_by_gateway(std::string_view name)
{
    constexpr std::array<std::string_view, 8> kOwned{"host",
                                                     "content-length",
                                                     "transfer-encoding",
                                                     "expect",
                                                     "x-forwarded-for",
                                                     "x-forwarded-proto",
                                                     "x-forwarded-host",
                                                     "forwarded"};
    for (const std::string_view owned : kOwned) {
        if (http1::equals_ignoring_case(name, owned))
            return true;
    }
    return false;
}

bool has_connection_field(std::span<const http1::Header> headers)
{
    for (const http1::Header& header : headers) {
        if (http1::equals_ignoring_case(header.name, "connection"))
            return true;
    }
    return false;
}

std::string_view upgrade_of(std::span<const http1::Header> headers)
{
    for (const http1::Header& header : headers) {
        if (http1::equals_ignoring_case(header.name, "upgrade"))
            return header.value;
    }
    return {};
}

}  // namespace

void HttpConnection::write_request_head(std::string_view canonical)
{
    const std::span<const http1::Header> headers(request_.headers, request_.header_count);
    const bool names_fields = has_connection_field(headers);
    // An upgrade with a body is forwarded as the plain request that it is too: a tunnel could begin amid the body.
    wants_upgrade_ = request_.upgrade && request_.framing == http1::Framing::None;
    std::string& head = request_head_;
    head.assign(request_.method);
    head += ' ';
    head += canonical;
    if (!request_.query.empty()) {
        head += '?';
        head += request_.query;
    }
    head += " HTTP/1.1\r\n";
    const std::string authority =
        request_.authority.empty() ? local_.to_string() : std::string(request_.authority);  // HTTP/1.0 without Host
    add_field(head, "Host", authority);
    for (const http1::Header& header : headers) {
        if (http1::is_hop_by_hop(header.name) || is_owned_by_gateway(header.name) ||
            (names_fields && http1::connection_names(headers, header.name)))
            continue;
        add_field(head, header.name, header.value);
    }
    add_field(head, "X-Forwarded-For", peer_.address.to_string());
    add_field(head, "X-Forwarded-Proto", "http");
    add_field(head, "X-Forwarded-Host", authority);
    if (request_.framing == http1::Framing::Length)
        add_field(head, "Content-Length", std::to_string(request_.content_length));
    else if (request_.framing == http1::Framing::Chunked)
        add_field(head, "Transfer-Encoding", "chunked");
    if (wants_upgrade_) {
        add_field(head, "Connection", "upgrade");
        add_field(head, "Upgrade", upgrade_of(headers));
    }
    head += "\r\n";
}

void HttpConnection::write_response_head(bool chunk_out)
{
    const std::span<const http1::Header> headers(response_.headers, response_.header_count);
    const bool names_fields = has_connection_field(headers);
    std::string& head = response_head_;
    head = "HTTP/1.1 " + std::to_string(response_.status) + " ";
    head += response_.reason;
    head += "\r\n";
    const bool has_body = response_.framing != http1::Framing::None;
    for (const http1::Header& header : headers) {
        const bool is_length = http1::equals_ignoring_case(header.name, "content-length");
        if (http1::is_hop_by_hop(header.name) || http1::equals_ignoring_case(header.name, "transfer-encoding") ||
            (is_length && (has_body || response_.status == 204)) ||
            (names_fields && http1::connection_names(headers, header.name)))
            continue;
        add_field(head, header.name, header.value);
    }
    if (response_.framing == http1::Framing::Length)
        add_field(head, "Content-Length", std::to_string(response_.content_length));
    else if (chunk_out)
        add_field(head, "Transfer-Encoding", "chunked");
    if (response_.status == 101) {
        add_field(head, "Connection", "upgrade");
        add_field(head, "Upgrade", upgrade_of(headers));
    } else if (!keep_client_) {
        add_field(head, "Connection", "close");
    } else if (request_.minor_version == 0) {
        add_field(head, "Connection", "keep-alive");
    }
    head += "\r\n";
}

}  // namespace sluice::proxy
