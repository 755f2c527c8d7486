// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/http2_fields.h"

#include <optional>

#include "agent/proxy/bytes.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kFieldOverhead = 32;  // of each field in the size of a list (RFC 9113 section 6.5.2)
constexpr std::size_t kUsualBytes = 512;    // room for most heads, made at once
constexpr std::size_t kUsualCount = 16;

// nghttp2 passes no others, but ":scheme": one letter tells them apart.
std::optional<Pseudo> pseudo_of(std::string_view name)
{
    switch (name[2]) {
    case 'a': return Pseudo::Path;
    case 'e': return Pseudo::Method;
    case 't': return Pseudo::Status;
    case 'u': return Pseudo::Authority;
    default: return std::nullopt;
    }
}

}  // namespace

void Http2Fields::add(std::string_view name, std::string_view value, std::size_t bytes_max, std::size_t count_max)
{
    seen_ += name.size() + value.size();
    const std::size_t bytes =
        text_.size() + cookie_.size() + entries_.size() * kFieldOverhead + name.size() + value.size() + kFieldOverhead;
    if (too_large_ || bytes > bytes_max || entries_.size() >= count_max) {
        too_large_ = true;
        ++dropped_;
        return;
    }
    if (name == "cookie") {
        if (!cookie_.empty())
            cookie_ += "; ";
        cookie_ += value;
        return;
    }
    if (entries_.empty()) {
        text_.reserve(kUsualBytes);
        entries_.reserve(kUsualCount);
    }
    const auto at = static_cast<std::uint32_t>(text_.size());
    http1::append(text_, name, value);
    const auto name_size = static_cast<std::uint32_t>(name.size());
    entries_.push_back({at, name_size, at + name_size, static_cast<std::uint32_t>(value.size())});
    const bool is_pseudo = name.size() > 2 && name[0] == ':';
    if (const auto which = is_pseudo ? pseudo_of(name) : std::nullopt)
        pseudo_[static_cast<std::size_t>(*which)] = static_cast<std::uint8_t>(entries_.size());
}

void Http2Fields::clear() { free_memory(*this); }

http1::Header Http2Fields::header(const Entry& entry) const
{
    return {{text_.data() + entry.name, entry.name_size}, value(entry)};
}

std::string_view Http2Fields::value(const Entry& entry) const { return {text_.data() + entry.value, entry.value_size}; }

std::string_view Http2Fields::pseudo(Pseudo which) const
{
    const std::uint8_t place = pseudo_[static_cast<std::size_t>(which)];
    return place == 0 ? std::string_view{} : value(entries_[place - 1U]);
}

std::uint8_t Http2Fields::fill(std::span<http1::Header> headers) const
{
    std::size_t count = 0;
    for (const Entry& entry : entries_) {
        if (text_[entry.name] != ':' && count < headers.size())
            headers[count++] = header(entry);
    }
    if (!cookie_.empty() && count < headers.size())
        headers[count++] = {"cookie", cookie_};
    return static_cast<std::uint8_t>(count);
}

}  // namespace sluice::proxy
