// SPDX-License-Identifier: Apache-2.0
// The answers that are the gateway's own: refusals, failures, redirects.
#include "agent/proxy/exchange.h"

#include <string>

#include "agent/proxy/grpc.h"
#include "agent/proxy/worker.h"

namespace sluice::proxy {
namespace {

std::string_view reason_phrase(int status)
{
    switch (status) {
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 408: return "Request Timeout";
    case 414: return "URI Too Long";
    case 421: return "Misdirected Request";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Error";
    }
}

}  // namespace

void Exchange::begin_refused(Downstream& client, int status, bool is_head)
{
    client_ = &client;
    is_head_ = is_head;
    if (status == 414 || status == 431)
        worker_->hit(Limit::HeaderSize);
    request_ended_ = false;
    answer(status);
}

void Exchange::answer(int status)
{
    drop_upstream();
    worker_->loop().disarm(request_timer_);
    touch();
    if (counters_ != nullptr) {
        count(counters_->responses[status / 100]);
        if (status != 404)
            count(counters_->refused);
    }
    response_begun_ = response_ended_ = true;
    forget_head();
    http1::ResponseHead& head = worker_->scratch().response;
    if (grpc_) {
        grpc::fill_error(head, status);
        return client_->send_response(head, true);
    }
    head.reset();
    head.status = static_cast<std::uint16_t>(status);
    head.reason = reason_phrase(status);
    std::string body(head.reason);
    body += '\n';
    head.headers[0] = {"content-type", "text/plain"};
    const std::string length = std::to_string(body.size());
    head.headers[1] = {"content-length", length};
    head.header_count = 2;
    head.framing = is_head_ ? http1::Framing::None : http1::Framing::Length;
    head.content_length = body.size();
    client_->send_response(head, is_head_);
    if (!is_head_)
        client_->send_body(Bytes(std::move(body)), true);
}

void Exchange::answer_elsewhere(const model::Redirect& redirect, const std::string& location)
{
    touch();
    count(counters_->responses[redirect.status / 100]);
    response_begun_ = response_ended_ = true;
    http1::ResponseHead& head = worker_->scratch().response;
    head.reset();
    head.status = redirect.status;
    head.reason = reason_phrase(redirect.status);
    head.headers[0] = {"location", location};
    head.header_count = 1;
    head.framing = is_head_ ? http1::Framing::None : http1::Framing::Length;
    client_->send_response(head, true);
}

}  // namespace sluice::proxy
