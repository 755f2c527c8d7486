// SPDX-License-Identifier: Apache-2.0
// Heads as they leave the gateway: what of the other side's fields passes, and what is added.
#pragma once

#include "agent/proxy/exchange.h"

namespace sluice::proxy {

// Fills `out` from a client's request. `end`: it has no body. `to_http2`: also the parts that only HTTP/2 has.
void write_forwarded_head(ForwardedHead& out, const http1::RequestHead& head, std::string_view path,
                          const Arrival& from, const model::HeaderModifier& modifier, bool end, bool to_http2);

// Where a redirect sends the client: an absolute URI. `matched`: the path that led to the rule.
[[nodiscard]] std::string redirect_location(const model::Redirect& redirect, const http1::RequestHead& head,
                                            std::string_view path, const model::PathMatch& matched,
                                            const Arrival& from);

// Whether a backend's response field is passed on; the framing is written anew by who sends the response.
class ResponseFilter {
public:
    // `modifier`: of the rule that the request took; null: none.
    ResponseFilter(const http1::ResponseHead& head, const model::HeaderModifier* modifier);
    [[nodiscard]] bool passes(const http1::Header& header) const;
    // Calls add(name, value) for the fields that the modifier brings.
    template <class Add> void add_own(const Add& add) const
    {
        if (modifier_ == nullptr)
            return;
        for (const auto* fields : {&modifier_->set, &modifier_->add}) {
            for (const model::HeaderField& field : *fields)
                add(field.name, field.value);
        }
    }

private:
    std::span<const http1::Header> headers_;
    const model::HeaderModifier* modifier_;
    bool names_fields_ = false;
    bool owns_length_ = false;
};

}  // namespace sluice::proxy
