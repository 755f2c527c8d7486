// SPDX-License-Identifier: Apache-2.0
// One request's way to a backend, whatever version of HTTP it takes: an HTTP/1 connection for itself, or a stream of an
// HTTP/2 one. What is given to be sent is owned by it until it is sent.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/proxy/bytes.h"
#include "agent/proxy/http1.h"
#include "agent/proxy/stream.h"

namespace sluice::proxy {

// A request's head as it leaves for the backend. Outlives the buffer that the client's head came in, for a backend
// that is still being connected to and for a second attempt.
struct ForwardedHead {
    struct Field {
        std::uint32_t name;
        std::uint32_t value;
        std::uint32_t value_size;
        std::uint16_t name_size;
    };
    std::string text;  // HTTP/1.1's form, with the empty line
    // For HTTP/2 alone:
    std::string method;
    std::vector<Field> fields;  // of `text`, without Host and what frames the message; names as they came
    std::string authority;
    std::string path;  // with query
    bool is_head = false;
    bool is_idempotent = false;  // RFC 9110 section 9.2.2
    bool upgrade = false;
    http1::Framing framing = http1::Framing::None;

    [[nodiscard]] std::string_view name(const Field& field) const
    {
        return std::string_view(text).substr(field.name, field.name_size);
    }
    [[nodiscard]] std::string_view value(const Field& field) const
    {
        return std::string_view(text).substr(field.value, field.value_size);
    }
};

enum class UpstreamFailure : std::uint8_t {
    Connect,    // no connection came about
    Unhandled,  // the backend surely did not begin to handle it: any request may be sent again
    Refused,    // the same, by a connection that goes on
    Lost,       // gone before a byte of the response: safe for idempotent requests
    Malformed,  // the response, or broken off amid it or instead of it
};

class UpstreamUser {
public:
    virtual void on_upstream_ready() = 0;  // `send` may be called
    virtual void on_upstream_failed(UpstreamFailure failure) = 0;
    virtual void on_request_taken() = 0;  // what was sent last is on its way: more may be sent
    // An interim response but 101 (RFC 9110 section 15.2); any number may come before the final one. The head is valid
    // during the call alone, and so is the Upstream: it may not be released in it.
    virtual void on_interim(const http1::ResponseHead& head) = 0;
    // A final response or a 101. `end`: nothing follows. The head is valid during the call alone.
    virtual void on_response(const http1::ResponseHead& head, bool end) = 0;
    virtual void on_response_body(Bytes body, bool end) = 0;                         // the next one only after `resume`
    virtual void on_response_trailers(std::span<const http1::Header> trailers) = 0;  // ends it

protected:
    ~UpstreamUser() = default;
};

class Upstream {
public:
    [[nodiscard]] virtual bool ready() const = 0;  // connected
    // The first piece of the body may come along. `end`: no more follows.
    virtual void send(const ForwardedHead& head, Bytes body, bool end) = 0;
    virtual void send_body(Bytes body, bool end) = 0;
    virtual void send_trailers(std::span<const http1::Header> trailers) = 0;
    virtual void resume() = 0;  // more of the response is wanted
    // The user calls no more and is not called again. Ends what is under way; a complete exchange leaves the connection
    // to the next request.
    virtual void release() = 0;
    [[nodiscard]] virtual bool reused() const = 0;  // the connection has served a request before
    struct Detached {
        std::unique_ptr<Stream> stream;
        Bytes received;
    };
    // After a 101 the connection itself, instead of `release`.
    [[nodiscard]] virtual Detached detach() = 0;

protected:
    ~Upstream() = default;
};

}  // namespace sluice::proxy
