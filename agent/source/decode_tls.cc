// SPDX-License-Identifier: Apache-2.0
// Decoders of what TLS needs: Secret, ConfigMap, BackendTLSPolicy, and the TLS fields of a Gateway. Whether
// certificates are any good is not decided here: a Secret with bad ones is an object like another, and its users are
// told.
#include "agent/source/decode_tls.h"

#include <algorithm>

#include "agent/model/base64.h"
#include "agent/source/kinds.h"
#include "agent/source/text.h"
#include "agent/source/validate.h"

namespace sluice::source {
namespace {

constexpr const char* kTlsSecretType = "kubernetes.io/tls";

model::ObjectReference decode_local_ref(Fields& f)
{
    model::ObjectReference ref;
    ref.group = f["group"].required().string(group_name);
    ref.kind = f["kind"].required().string(kind_name);
    ref.name = f["name"].required().string(object_name);
    return ref;
}

model::ObjectReference decode_ca_ref(const Value& value)
{
    Fields f(value);
    model::ObjectReference ref = decode_local_ref(f);
    ref.ns = f["namespace"].optional_string(dns_label);
    return ref;
}

// A reference that stands for a Secret unless it says otherwise.
model::ObjectReference decode_secret_ref(const Value& value)
{
    Fields f(value);
    model::ObjectReference ref;
    ref.group = f["group"].string(group_name);
    ref.kind = f["kind"].string_or("Secret", kind_name);
    ref.ns = f["namespace"].optional_string(dns_label);
    ref.name = f["name"].required().string(object_name);
    return ref;
}

// Options belong to other implementations: none of them is known here.
bool decode_options(const Value& value)
{
    const auto options = value.string_map();
    if (options.size() > 16)
        value.refuse("has " + std::to_string(options.size()) + " options; accepted are at most 16");
    else if (!options.empty())
        value.note("sluice does not act on this field");
    return !options.empty();
}

std::optional<model::ClientValidation> decode_client_validation(const Value& tls)
{
    using Mode = model::ClientValidation::Mode;
    Fields outer(tls);
    const Value value = outer["validation"];
    Fields f(value);
    if (!value.present())
        return std::nullopt;
    model::ClientValidation validation;
    for (const Value& item : f["caCertificateRefs"].required().list(1, 16))
        validation.ca_refs.push_back(decode_ca_ref(item));
    validation.mode = f["mode"].one_of<Mode>(
        {{"AllowValidOnly", Mode::AllowValidOnly}, {"AllowInsecureFallback", Mode::AllowInsecureFallback}},
        Mode::AllowValidOnly);
    return validation;
}

model::PolicyTarget decode_target(const Value& value)
{
    Fields f(value);
    const model::ObjectReference ref = decode_local_ref(f);
    const auto section = f["sectionName"].optional_string();
    model::PolicyTarget target{ref.group, ref.kind, ref.name, {}};
    if (section && !section->empty())
        target.section_name = f["sectionName"].optional_string(dns_subdomain);
    return target;
}

// Two targets of one name must both say which part of it they mean, and mean different parts.
Fault clash(const model::PolicyTarget& a, const model::PolicyTarget& b)
{
    if (a.group != b.group || a.kind != b.kind || a.name != b.name)
        return std::nullopt;
    if (a.section_name == b.section_name)
        return "the same target is given twice";
    if (a.section_name.has_value() != b.section_name.has_value())
        return "with several references to one target, all of them need a sectionName";
    return std::nullopt;
}

void decode_targets(const Value& value, model::BackendTlsPolicy& policy)
{
    for (const Value& item : value.required().list(1, 16)) {
        model::PolicyTarget target = decode_target(item);
        for (const model::PolicyTarget& earlier : policy.targets) {
            if (auto fault = clash(earlier, target)) {
                item.refuse(std::move(*fault));
                break;
            }
        }
        policy.targets.push_back(std::move(target));
    }
}

void decode_san(const Value& value, model::BackendTlsPolicy& policy)
{
    Fields f(value);
    enum class Type { None, Hostname, Uri };
    const Type type = f["type"].required().one_of<Type>({{"Hostname", Type::Hostname}, {"URI", Type::Uri}}, Type::None);
    const Value host = f["hostname"];
    const Value uri = f["uri"];
    if (type == Type::Hostname) {
        policy.dns_sans.push_back(host.required().string(hostname));
        if (uri.present())
            uri.refuse("does not belong to a name of type Hostname");
    } else if (type == Type::Uri) {
        policy.uri_sans.push_back(uri.required().string(absolute_uri));
        if (host.present())
            host.refuse("does not belong to a name of type URI");
    }
}

// The values that a map of base64 holds, decoded; what is not base64 is refused.
void decode_data(const Value& value, std::map<std::string, std::string>& data)
{
    for (const auto& [key, item] : value.entries()) {
        const auto text = item.optional_string();
        if (!text)
            continue;
        if (auto bytes = model::decode_base64(*text))
            data[key] = std::move(*bytes);
        else
            item.refuse("not base64 (RFC 4648); text as it is goes into stringData");
    }
}

std::optional<std::string> take(std::map<std::string, std::string>& data, const char* key)
{
    const auto found = data.find(key);
    return found == data.end() ? std::nullopt : std::optional(std::move(found->second));
}

}  // namespace

std::optional<model::ListenerTls> decode_listener_tls(const Value& value, const std::string& protocol)
{
    using Mode = model::ListenerTls::Mode;
    if (!value.present()) {
        if (protocol == "TLS")
            value.refuse("required for protocol TLS, but missing");
        return std::nullopt;
    }
    if (protocol == "HTTP" || protocol == "TCP" || protocol == "UDP") {
        value.refuse("accepted on listeners of protocol HTTPS and TLS only");
        return std::nullopt;
    }
    Fields f(value);
    model::ListenerTls tls;
    tls.mode =
        f["mode"].one_of<Mode>({{"Terminate", Mode::Terminate}, {"Passthrough", Mode::Passthrough}}, Mode::Terminate);
    if (protocol == "HTTPS" && tls.mode != Mode::Terminate)
        f["mode"].refuse("protocol HTTPS accepts Terminate only");
    const Value refs = f["certificateRefs"];
    for (const Value& item : refs.list(0, 64))
        tls.certificate_refs.push_back(decode_secret_ref(item));
    const bool has_options = decode_options(f["options"]);
    if (value.is_map() && tls.mode == Mode::Terminate && !has_options && (!refs.present() || refs.is_list()) &&
        (refs.node() == nullptr || refs.node()->items.empty()))
        refs.refuse("mode Terminate needs at least one reference to a Secret");
    f.not_acted_on({"frontendValidation"});
    return tls;
}

model::GatewayTls decode_gateway_tls(const Value& value)
{
    Fields f(value);
    model::GatewayTls tls;
    Fields backend(f["backend"]);
    if (const Value ref = backend["clientCertificateRef"]; ref.present())
        tls.backend_certificate_ref = decode_secret_ref(ref);
    Fields frontend(f["frontend"]);
    const Value everywhere = frontend["default"];
    if (frontend.value().present())
        everywhere.required();
    tls.client_validation = decode_client_validation(everywhere);
    for (const Value& item : frontend["perPort"].list(0, 64)) {
        Fields one(item);
        const Value port = one["port"].required();
        const std::uint16_t number = port.port().value_or(0);
        auto validation = decode_client_validation(one["tls"].required());
        if (number != 0 && !tls.client_validation_of_port.emplace(number, std::move(validation)).second)
            port.refuse("a second configuration for this port; each port has at most one");
    }
    return tls;
}

AnyObject decode_secret(Fields& root, model::ObjectMeta meta)
{
    model::Secret object;
    object.meta = std::move(meta);
    object.meta.annotations.clear();
    const std::string type = root["type"].string_or("Opaque");
    const Value data = root["data"];
    const Value plain = root["stringData"];
    std::map<std::string, std::string> values;
    decode_data(data, values);
    for (auto& [key, text] : plain.string_map())
        values[key] = text;  // stringData has precedence, as for the API server
    root.ignore({"immutable"});
    if (type == kTlsSecretType && !root.value().report().refused()) {
        for (const char* key : {"tls.crt", "tls.key"})
            if (!values.contains(key))
                (plain.present() && !data.present() ? plain : data)
                    .refuse(std::string("type kubernetes.io/tls needs the key ") + key);
    }
    object.tls_crt = take(values, "tls.crt");
    object.tls_key = take(values, "tls.key");
    return object;
}

AnyObject decode_config_map(Fields& root, model::ObjectMeta meta)
{
    model::ConfigMap object;
    object.meta = std::move(meta);
    std::map<std::string, std::string> values = root["data"].string_map();
    decode_data(root["binaryData"], values);
    root.ignore({"immutable"});
    object.ca_crt = take(values, "ca.crt");
    return object;
}

AnyObject decode_backend_tls_policy(Fields& root, model::ObjectMeta meta)
{
    model::BackendTlsPolicy object;
    object.meta = std::move(meta);
    Fields spec(root["spec"].required());
    decode_targets(spec["targetRefs"], object);
    const Value validation = spec["validation"].required();
    Fields f(validation);
    const Value refs = f["caCertificateRefs"];
    for (const Value& item : refs.list(0, 8)) {
        Fields one(item);
        object.ca_refs.push_back(decode_local_ref(one));
    }
    const Value well_known = f["wellKnownCACertificates"];
    if (const auto text = well_known.optional_string(); text && !text->empty())
        object.well_known_ca = well_known.string(well_known_ca);
    if (!object.ca_refs.empty() && !object.well_known_ca.empty())
        well_known.refuse("excludes caCertificateRefs: one of the two says which CA is trusted");
    if (validation.is_map() && !refs.present() && !well_known.present())
        refs.refuse("required without wellKnownCACertificates, but missing");
    else if (refs.is_list() && refs.node()->items.empty() && object.well_known_ca.empty())
        refs.refuse("has 0 elements; without wellKnownCACertificates 1 to 8 are accepted");
    object.hostname = f["hostname"].required().string(dns_subdomain);
    for (const Value& item : f["subjectAltNames"].list(0, 5))
        decode_san(item, object);
    static_cast<void>(decode_options(spec["options"]));
    return object;
}

}  // namespace sluice::source
