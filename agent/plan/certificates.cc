// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/certificates.h"

#include <fmt/format.h>

#include "agent/plan/pem.h"

namespace sluice::plan {
namespace {

constexpr std::size_t kGatheredMessageMax = 1024;

// What both kinds of reference share: the kind it must have, the grant, and the object that it names.
template <class Object>
std::expected<const Object*, Verdict> find(const Referrer& from, const model::ObjectReference& ref,
                                           const ReferenceReasons& reasons, const Grants& grants,
                                           const std::unordered_map<NameView, const Object*, NameViewHash>& objects)
{
    const auto bad = [](const char* reason, std::string message) {
        return std::unexpected(Verdict{reason, std::move(message)});
    };
    if (!ref.group.empty() || ref.kind != Object::kKind)
        return bad(reasons.kind, fmt::format("{}/{} \"{}\" is not supported; a core {} is", ref.group, ref.kind,
                                             ref.name, Object::kKind));
    const std::string_view ns = ref.ns ? std::string_view(*ref.ns) : from.ns;
    // Before existence: without a grant nothing is told about another namespace.
    if (!grants.allow(from, Object::kKind, ns, ref.name))
        return bad("RefNotPermitted", not_granted(from, Object::kKind, ns, ref.name));
    const auto found = objects.find(NameView{ns, ref.name});
    if (found == objects.end())
        return bad(reasons.invalid, fmt::format("{} {}/{} does not exist", Object::kKind, ns, ref.name));
    return found->second;
}

}  // namespace

void add_fault(Verdict& verdict, const std::string& reason, std::string_view field, const std::string& message)
{
    if (verdict.ok())
        verdict.reason = reason;
    if (verdict.message.size() < kGatheredMessageMax)
        verdict.message += fmt::format("{}{}: {}", verdict.message.empty() ? "" : "; ", field, message);
}

Certificates::Certificates(const model::Objects& objects, const Grants& grants) : grants_(grants)
{
    for (const model::Secret& secret : objects.secrets)
        secrets_.emplace(NameView{secret.meta.ns, secret.meta.name}, &secret);
    for (const model::ConfigMap& config_map : objects.config_maps)
        config_maps_.emplace(NameView{config_map.meta.ns, config_map.meta.name}, &config_map);
}

std::expected<TlsCertificate, Verdict> Certificates::certificate(const Referrer& from,
                                                                 const model::ObjectReference& ref,
                                                                 const ReferenceReasons& reasons) const
{
    const auto secret = find(from, ref, reasons, grants_, secrets_);
    if (!secret)
        return std::unexpected(secret.error());
    const std::string name = full_name((*secret)->meta);
    const auto bad = [&](const char* key, const std::string& fault) {
        return std::unexpected(Verdict{reasons.invalid, fmt::format("Secret {}: {}: {}", name, key, fault)});
    };
    if (!(*secret)->tls_crt)
        return bad("tls.crt", "the key is missing");
    if (!(*secret)->tls_key)
        return bad("tls.key", "the key is missing");
    if (const std::string fault = certificate_fault(*(*secret)->tls_crt); !fault.empty())
        return bad("tls.crt", fault);
    if (const std::string fault = key_fault(*(*secret)->tls_key); !fault.empty())
        return bad("tls.key", fault);
    return TlsCertificate{name, *(*secret)->tls_crt, *(*secret)->tls_key};
}

std::expected<std::string_view, Verdict>
Certificates::authority(const Referrer& from, const model::ObjectReference& ref, const ReferenceReasons& reasons) const
{
    const auto config_map = find(from, ref, reasons, grants_, config_maps_);
    if (!config_map)
        return std::unexpected(config_map.error());
    const auto bad = [&](const std::string& fault) {
        return std::unexpected(
            Verdict{reasons.invalid, fmt::format("ConfigMap {}: ca.crt: {}", full_name((*config_map)->meta), fault)});
    };
    if (!(*config_map)->ca_crt)
        return bad("the key is missing");
    if (const std::string fault = certificate_fault(*(*config_map)->ca_crt); !fault.empty())
        return bad(fault);
    return std::string_view(*(*config_map)->ca_crt);
}

std::string Certificates::authorities(const Referrer& from, const std::vector<model::ObjectReference>& refs,
                                      const ReferenceReasons& reasons, std::string_view field, Verdict& resolved) const
{
    std::string pem;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        const auto one = authority(from, refs[i], reasons);
        if (!one) {
            add_fault(resolved, one.error().reason, fmt::format("{}[{}]", field, i), one.error().message);
            continue;
        }
        pem += *one;
        if (!pem.ends_with('\n'))
            pem += '\n';
    }
    return pem;
}

}  // namespace sluice::plan
