// SPDX-License-Identifier: Apache-2.0
// Decoders of NodeGatewayConfig, with the rules that its CRD states, and of Node.
#include <algorithm>
#include <charconv>
#include <expected>
#include <set>

#include "agent/source/kinds.h"
#include "agent/source/loose_fields.h"
#include "agent/source/validate.h"
#include "base/ip_address.h"

namespace sluice::source {
namespace {

constexpr std::size_t kPoolsMax = 16;
constexpr std::size_t kRangesMax = 32;  // of one pool
constexpr std::size_t kInterfacesMax = 32;
constexpr std::size_t kInterfaceNameMax = 15;  // IFNAMSIZ without its NUL
constexpr std::size_t kNodeAddressesMax = 1'000;

using Parsed = std::expected<model::AddressRange, std::string>;

// The address with all bits from `prefix` on set or cleared.
IpAddress fill_from(const IpAddress& address, unsigned prefix, bool set)
{
    auto bytes = address.bytes();
    for (unsigned bit = prefix; bit < 128; ++bit) {
        const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
        bytes[bit / 8] = static_cast<std::uint8_t>(set ? bytes[bit / 8] | mask : bytes[bit / 8] & ~mask);
    }
    return IpAddress::from_bytes(bytes);
}

// Only what is written as the family that it is: no IPv4 address in IPv6's clothes.
std::optional<IpAddress> parse_address(std::string_view text)
{
    const auto address = IpAddress::parse(text);
    if (address && address->is_v4() && text.find(':') != std::string_view::npos)
        return std::nullopt;
    return address;
}

Parsed parse_cidr(std::string_view text, std::size_t slash)
{
    const auto address = parse_address(text.substr(0, slash));
    const std::string_view digits = text.substr(slash + 1);
    unsigned length = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    const bool whole = error == std::errc{} && end == digits.data() + digits.size();
    if (!address || !whole || length > (address->is_v4() ? 32U : 128U))
        return std::unexpected("not a CIDR; one like 192.0.2.0/28 or 2001:db8::/120 is accepted");
    const unsigned prefix = length + (address->is_v4() ? 96 : 0);
    const model::AddressRange range{fill_from(*address, prefix, false), fill_from(*address, prefix, true)};
    if (range.first != *address)
        return std::unexpected("not the first address of its CIDR; " + range.first.to_string() + "/" +
                               std::string(digits) + " is accepted, or a range");
    return range;
}

Parsed parse_ends(std::string_view text, std::size_t dash)
{
    const auto first = parse_address(text.substr(0, dash));
    const auto last = parse_address(text.substr(dash + 1));
    if (!first || !last || first->is_v4() != last->is_v4())
        return std::unexpected("not a range of addresses; one like 192.0.2.1-192.0.2.9 is accepted");
    if (*last < *first)
        return std::unexpected("the range's end comes before its beginning; the lower address first is accepted");
    return model::AddressRange{*first, *last};
}

Parsed parse_range(std::string_view text)
{
    Parsed range = std::unexpected("neither a CIDR nor a range of addresses; 192.0.2.0/28, 192.0.2.1-192.0.2.9 and the "
                                   "same in IPv6 are accepted");
    if (const auto slash = text.find('/'); slash != std::string_view::npos)
        range = parse_cidr(text, slash);
    else if (const auto dash = text.find('-'); dash != std::string_view::npos)
        range = parse_ends(text, dash);
    if (!range)
        return range;
    struct Reserved {
        const char* first;
        const char* last;
        const char* what;
    };
    for (const auto& [first, last, what] :
         {Reserved{"0.0.0.0", "0.255.255.255", "the network that is \"this\""},
          Reserved{"127.0.0.0", "127.255.255.255", "loopback"},
          Reserved{"169.254.0.0", "169.254.255.255", "link-local addresses"},
          Reserved{"224.0.0.0", "255.255.255.255", "multicast and reserved addresses"},
          Reserved{"::", "::1", "loopback"}, Reserved{"::ffff:0:0", "::ffff:ffff:ffff", "IPv4 addresses"},
          Reserved{"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local addresses"},
          Reserved{"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast addresses"}}) {
        const model::AddressRange reserved{*IpAddress::parse(first), *IpAddress::parse(last)};
        // The IPv4 addresses are a block of their own among the others, and no IPv6 range may reach over it.
        const bool of_ipv6 = std::string_view(first).find(':') != std::string_view::npos;
        if (of_ipv6 != range->is_v4() && range->first <= reserved.last && reserved.first <= range->last)
            return std::unexpected("reaches into " + std::string(what) + "; unicast addresses are accepted");
    }
    return range;
}

Fault interface_name(std::string_view text)
{
    const bool good = !text.empty() && text.size() <= kInterfaceNameMax && text != "." && text != ".." &&
                      std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != ':'; });
    if (good)
        return std::nullopt;
    return "not the name of a link: 1 to 15 characters without space, slash and colon";
}

model::AddressPool decode_pool(const Value& value)
{
    Fields f(value);
    model::AddressPool pool;
    pool.name = f["name"].required().string(dns_label);
    for (const Value& item : f["cidrs"].required().list(1, kRangesMax)) {
        const auto text = item.required().optional_string();
        if (!text)
            continue;
        if (auto range = parse_range(*text))
            pool.ranges.push_back(*range);
        else
            item.refuse(std::move(range.error()));
    }
    return pool;
}

}  // namespace

AnyObject decode_node_gateway_config(Fields& root, model::ObjectMeta meta)
{
    using model::Announcement;
    model::NodeGatewayConfig object;
    object.meta = std::move(meta);
    Fields spec(root["spec"].required());
    std::set<std::string> names;
    for (const Value& value : spec["pools"].list(0, kPoolsMax)) {
        object.pools.push_back(decode_pool(value));
        if (!names.insert(object.pools.back().name).second)
            value.refuse("a second pool named " + printable(object.pools.back().name));
    }
    object.announcement = spec["announcement"].one_of<Announcement>(
        {{"L2", Announcement::L2}, {"None", Announcement::None}}, Announcement::L2);
    for (const Value& value : spec["interfaces"].list(0, kInterfacesMax))
        object.interfaces.push_back(value.string(interface_name));
    Fields selector(spec["nodeSelector"]);
    object.node_selector = selector["matchLabels"].string_map();
    return object;
}

AnyObject decode_node(Fields& root, model::ObjectMeta meta)
{
    model::Node object;
    object.meta = std::move(meta);
    object.meta.annotations.clear();
    root.ignore({"spec"});
    const Value list = loose_field(loose_field(root.value(), "status"), "addresses");
    if (!list.is_list() || list.node()->items.size() > kNodeAddressesMax)
        return object;
    for (const Value& item : list.list(0, kNodeAddressesMax)) {
        const std::string type = loose_text(item, "type");
        const auto address = IpAddress::parse(loose_text(item, "address"));
        if (address && (type == "InternalIP" || type == "ExternalIP"))
            object.addresses.push_back(*address);
    }
    return object;
}

}  // namespace sluice::source
