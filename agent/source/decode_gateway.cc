// SPDX-License-Identifier: Apache-2.0
// Decoders of GatewayClass and Gateway, with the rules that their CRDs state.
#include <algorithm>

#include "agent/source/decode_tls.h"
#include "agent/source/kinds.h"
#include "agent/source/loose_fields.h"
#include "agent/source/validate.h"
#include "base/ip_address.h"

namespace sluice::source {
namespace {

using From = model::AllowedRoutes::From;
using Operator = model::LabelSelector::Operator;

constexpr std::size_t kStatusAddressesMax = 64;  // the API allows 16

std::optional<model::ParametersReference> decode_parameters_ref(const Value& value)
{
    Fields f(value);
    if (!value.present())
        return std::nullopt;
    return model::ParametersReference{f["group"].required().string(group_name), f["kind"].required().string(kind_name),
                                      f["name"].required().string(object_name),
                                      f["namespace"].optional_string(dns_label)};
}

model::LabelSelector decode_selector(const Value& value)
{
    Fields f(value);
    model::LabelSelector selector;
    selector.match_labels = f["matchLabels"].string_map();
    for (const Value& item : f["matchExpressions"].list(0, 64)) {
        Fields expression(item);
        model::LabelSelector::Requirement requirement;
        requirement.key = expression["key"].required().string(object_name);
        requirement.op = expression["operator"].required().one_of<Operator>({{"In", Operator::In},
                                                                             {"NotIn", Operator::NotIn},
                                                                             {"Exists", Operator::Exists},
                                                                             {"DoesNotExist", Operator::DoesNotExist}},
                                                                            Operator::In);
        const Value values = expression["values"];
        for (const Value& each : values.list(0, 1000))
            requirement.values.push_back(each.string());
        const bool takes_values = requirement.op == Operator::In || requirement.op == Operator::NotIn;
        if (takes_values == requirement.values.empty())
            values.refuse(takes_values ? "In and NotIn need at least one value"
                                       : "Exists and DoesNotExist take no values");
        selector.match_expressions.push_back(std::move(requirement));
    }
    return selector;
}

model::AllowedRoutes decode_allowed_routes(const Value& value)
{
    Fields f(value);
    model::AllowedRoutes allowed;
    Fields namespaces(f["namespaces"]);
    allowed.from = namespaces["from"].one_of<From>(
        {{"Same", From::Same}, {"All", From::All}, {"Selector", From::Selector}, {"None", From::None}}, From::Same);
    const Value selector = namespaces["selector"];
    // A missing selector must not read as the empty one, which selects every namespace.
    if (allowed.from == From::Selector && !selector.present())
        selector.refuse("required with from: Selector, but missing");
    allowed.selector = decode_selector(selector);
    for (const Value& item : f["kinds"].list(0, 8)) {
        Fields kind(item);
        allowed.kinds.push_back(
            {kind["group"].string_or(model::kGatewayGroup, group_name), kind["kind"].required().string(kind_name)});
    }
    return allowed;
}

model::Listener decode_listener(const Value& value)
{
    Fields f(value);
    model::Listener listener;
    listener.name = f["name"].required().string(dns_subdomain);
    listener.port = f["port"].required().port().value_or(0);
    listener.protocol = f["protocol"].required().string(listener_protocol);
    const Value host = f["hostname"];
    // The API reads "" as "every host".
    if (const auto text = host.optional_string(); text && !text->empty())
        listener.hostname = host.string(hostname);
    if (!listener.hostname.empty() && (listener.protocol == "TCP" || listener.protocol == "UDP"))
        host.refuse("a listener of protocol " + listener.protocol + " takes no hostname");
    listener.tls = decode_listener_tls(f["tls"], listener.protocol);
    listener.allowed_routes = decode_allowed_routes(f["allowedRoutes"]);
    return listener;
}

void check_listeners(const std::vector<Value>& values, const std::vector<model::Listener>& listeners)
{
    for (std::size_t i = 0; i < listeners.size(); ++i) {
        const model::Listener& later = listeners[i];
        for (std::size_t j = 0; j < i; ++j) {
            const model::Listener& earlier = listeners[j];
            if (!later.name.empty() && later.name == earlier.name) {
                values[i].refuse("a second listener named " + later.name + "; names are unique within a Gateway");
                break;
            }
            if (later.port != 0 && later.port == earlier.port && later.protocol == earlier.protocol &&
                later.hostname == earlier.hostname) {
                values[i].refuse("same port, protocol and hostname as listener " + earlier.name +
                                 "; their combination is unique within a Gateway");
                break;
            }
        }
    }
}

model::GatewayAddress decode_address(const Value& value)
{
    Fields f(value);
    model::GatewayAddress address;
    address.type = f["type"].string_or("IPAddress");
    const Value text = f["value"];
    address.value = text.string();
    if (address.type != "IPAddress" && address.type != "Hostname" && address.type != "NamedAddress" &&
        (address.type.find('/') == std::string::npos || controller_name(address.type)))
        f["type"].refuse("not an address type: IPAddress, Hostname, NamedAddress or a domain-prefixed name");
    if (address.type == "IPAddress" && !address.value.empty() && !IpAddress::parse(address.value))
        text.refuse("not an IPv4 or IPv6 address");
    if (address.type == "Hostname" && !address.value.empty()) {
        if (auto fault = hostname(address.value))
            text.refuse(std::move(*fault));
    }
    return address;
}

void decode_infrastructure(const Value& value, model::Gateway& gateway)
{
    Fields f(value);
    gateway.infrastructure_labels = f["labels"].string_map();
    gateway.infrastructure_annotations = f["annotations"].string_map();
    gateway.has_parameters_ref = decode_parameters_ref(f["parametersRef"]).has_value();
}

// What somebody wrote as status never makes a Gateway wrong: what cannot be read is passed over.
std::vector<IpAddress> decode_status_addresses(const Value& object)
{
    std::vector<IpAddress> addresses;
    const Value list = loose_field(loose_field(object, "status"), "addresses");
    if (!list.is_list() || list.node()->items.size() > kStatusAddressesMax)
        return addresses;
    for (const Value& item : list.list(0, kStatusAddressesMax)) {
        if (const auto address = IpAddress::parse(loose_text(item, "value")))
            addresses.push_back(*address);
    }
    return addresses;
}

}  // namespace

AnyObject decode_gateway_class(Fields& root, model::ObjectMeta meta)
{
    model::GatewayClass object;
    object.meta = std::move(meta);
    Fields spec(root["spec"].required());
    object.controller_name = spec["controllerName"].required().string(controller_name);
    object.parameters_ref = decode_parameters_ref(spec["parametersRef"]);
    spec.ignore({"description"});
    return object;
}

AnyObject decode_gateway(Fields& root, model::ObjectMeta meta)
{
    model::Gateway object;
    object.meta = std::move(meta);
    Fields spec(root["spec"].required());
    object.gateway_class_name = spec["gatewayClassName"].required().string(object_name);
    const auto listeners = spec["listeners"].required().list(1, 64);
    for (const Value& value : listeners)
        object.listeners.push_back(decode_listener(value));
    check_listeners(listeners, object.listeners);
    for (const Value& value : spec["addresses"].list(0, 16)) {
        model::GatewayAddress address = decode_address(value);
        if (!address.value.empty() && std::ranges::find(object.addresses, address) != object.addresses.end())
            value.refuse("the address is given twice");
        object.addresses.push_back(std::move(address));
    }
    decode_infrastructure(spec["infrastructure"], object);
    object.tls = decode_gateway_tls(spec["tls"]);
    object.status_addresses = decode_status_addresses(root.value());
    spec.not_acted_on({"allowedListeners", "backendTLS", "defaultScope"});
    return object;
}

}  // namespace sluice::source
