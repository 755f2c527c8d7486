// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/client_hello.h"

#include <algorithm>
#include <utility>

namespace sluice::proxy {
namespace {

using Status = ClientHello::Status;

constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHelloMessage = 1;
constexpr std::size_t kRecordHead = 5;
constexpr std::size_t kRecordBytesMax = 16UL * 1024;
constexpr std::size_t kMessageHead = 4;
constexpr std::uint16_t kServerNameExtension = 0;
constexpr std::uint16_t kAlpnExtension = 16;
constexpr std::size_t kServerNameMax = 255;

// Takes fields off the front; once something was missing, nothing more is taken and `good` stays false.
class Reader {
public:
    explicit Reader(std::string_view rest) : rest_(rest) {}
    [[nodiscard]] bool good() const { return good_; }
    [[nodiscard]] bool empty() const { return rest_.empty(); }

    std::string_view take(std::size_t count)
    {
        if (count > rest_.size()) {
            good_ = false;
            rest_ = {};
            return {};
        }
        const std::string_view taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    }
    std::size_t number(std::size_t bytes)
    {
        std::size_t value = 0;
        for (const char byte : take(bytes))
            value = value << 8U | static_cast<std::uint8_t>(byte);
        return value;
    }
    // A vector with its length in front.
    std::string_view vector(std::size_t length_bytes) { return take(number(length_bytes)); }

private:
    std::string_view rest_;
    bool good_ = true;
};

// The handshake message out of its records: a view where one record holds all of it, else a copy in `joined`.
struct Message {
    Status status;
    std::string_view body;
};

// A first record says soon whether it can be one: by its type, its version's first byte and its length.
bool can_be_record(std::string_view head)
{
    if (!head.empty() && static_cast<std::uint8_t>(head[0]) != kHandshakeRecord)
        return false;
    if (head.size() >= 2 && head[1] != 3)
        return false;
    if (head.size() < kRecordHead)
        return true;
    Reader length(head.substr(3));
    const std::size_t size = length.number(2);
    return size > 0 && size <= kRecordBytesMax;
}

Message find_message(std::string_view bytes, std::string& joined)
{
    std::string_view content;  // of the records so far
    bool first = true;
    while (true) {
        if (!can_be_record(bytes))
            return {Status::NotTls, {}};
        std::string_view part;
        bool whole = false;
        if (bytes.size() > kRecordHead) {
            const std::size_t size = Reader(bytes.substr(3)).number(2);
            part = bytes.substr(kRecordHead, size);
            whole = part.size() == size;
            bytes.remove_prefix(kRecordHead + part.size());
        }
        if (first) {
            content = part;
        } else {
            joined += part;
            content = joined;
        }
        if (!content.empty() && static_cast<std::uint8_t>(content[0]) != kClientHelloMessage)
            return {Status::NotTls, {}};
        if (content.size() >= kMessageHead) {
            const std::size_t size = Reader(content.substr(1)).number(3);
            if (size + kMessageHead > kClientHelloBytesMax)
                return {Status::NotTls, {}};
            if (content.size() >= kMessageHead + size)
                return {Status::Found, content.substr(kMessageHead, size)};
        }
        if (!whole)
            return {Status::NeedMore, {}};
        if (std::exchange(first, false))
            joined.assign(content);
    }
}

bool is_host_name(std::string_view name)
{
    return !name.empty() && name.size() <= kServerNameMax && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    });
}

bool parse_server_name(std::string_view extension, std::string& server_name)
{
    Reader outer(extension);
    Reader list(outer.vector(2));
    if (!outer.good() || !outer.empty() || list.empty())
        return false;
    while (!list.empty()) {
        constexpr std::size_t kHostNameType = 0;
        const std::size_t type = list.number(1);
        const std::string_view name = list.vector(2);
        if (!list.good() || type != kHostNameType || !server_name.empty())
            return false;  // RFC 6066: no other type is known, and one name of a type
        server_name = name;
        std::ranges::transform(server_name, server_name.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
        if (!is_host_name(server_name))
            return false;
    }
    return true;
}

bool parse_alpn(std::string_view extension, std::vector<std::string>& alpn)
{
    Reader outer(extension);
    Reader list(outer.vector(2));
    if (!outer.good() || !outer.empty() || list.empty())
        return false;
    while (!list.empty()) {
        const std::string_view protocol = list.vector(1);
        if (!list.good() || protocol.empty())
            return false;
        alpn.emplace_back(protocol);
    }
    return true;
}

bool parse_extensions(std::string_view all, ClientHello& hello)
{
    Reader extensions(all);
    bool seen_name = false;
    bool seen_alpn = false;
    while (!extensions.empty()) {
        const std::size_t type = extensions.number(2);
        const std::string_view extension = extensions.vector(2);
        if (!extensions.good())
            return false;
        if (type == kServerNameExtension &&
            (std::exchange(seen_name, true) || !parse_server_name(extension, hello.server_name)))
            return false;
        if (type == kAlpnExtension && (std::exchange(seen_alpn, true) || !parse_alpn(extension, hello.alpn)))
            return false;
    }
    return true;
}

bool parse_body(std::string_view body, ClientHello& hello)
{
    constexpr std::size_t kRandomBytes = 32;
    constexpr std::size_t kSessionIdMax = 32;
    Reader reader(body);
    const std::size_t version = reader.number(2);
    reader.take(kRandomBytes);
    const std::string_view session_id = reader.vector(1);
    const std::string_view suites = reader.vector(2);
    const std::string_view compressions = reader.vector(1);
    if (!reader.good() || version >> 8U != 3 || session_id.size() > kSessionIdMax || suites.empty() ||
        suites.size() % 2 != 0 || compressions.empty())
        return false;
    if (reader.empty())
        return true;  // without extensions
    const std::string_view extensions = reader.vector(2);
    return reader.good() && reader.empty() && parse_extensions(extensions, hello);
}

}  // namespace

ClientHello parse_client_hello(std::string_view bytes)
{
    std::string joined;
    const Message message = find_message(bytes.substr(0, kClientHelloBytesMax), joined);
    ClientHello hello;
    hello.status = message.status;
    if (message.status == Status::NeedMore && bytes.size() >= kClientHelloBytesMax)
        hello.status = Status::NotTls;
    if (message.status == Status::Found && !parse_body(message.body, hello))
        hello = ClientHello{Status::NotTls, {}, {}};
    return hello;
}

}  // namespace sluice::proxy
