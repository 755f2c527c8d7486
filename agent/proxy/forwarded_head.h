// SPDX-License-Identifier: Apache-2.0
// Heads as they leave the gateway: what of the other side's fields passes, and what is added.
#pragma once

#include "agent/proxy/exchange.h"

namespace sluice::proxy {

// Fills `out` from a client's request. `end`: it has no body. `to_http2`: field names as HTTP/2 wants them.
void write_forwarded_head(ForwardedHead& out, const http1::RequestHead& head, std::string_view path,
                          const Arrival& from, bool end, bool to_http2);

// Whether a backend's response field is passed on; the framing is written anew by who sends the response.
class ResponseFilter {
public:
    explicit ResponseFilter(const http1::ResponseHead& head);
    [[nodiscard]] bool passes(const http1::Header& header) const;

private:
    std::span<const http1::Header> headers_;
    bool names_fields_ = false;
    bool owns_length_ = false;
};

}  // namespace sluice::proxy
