// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/certificates.h"

#include <fmt/format.h>

#include <algorithm>

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

// Or what is wrong with it.
std::expected<TlsCertificate, std::string> certificate_of(const model::Secret& secret)
{
    const std::string name = full_name(secret.meta);
    const auto bad = [&](const char* key, const std::string& fault) {
        return std::unexpected(fmt::format("Secret {}: {}: {}", name, key, fault));
    };
    if (!secret.tls_crt)
        return bad("tls.crt", "the key is missing");
    if (!secret.tls_key)
        return bad("tls.key", "the key is missing");
    if (const std::string fault = certificate_fault(*secret.tls_crt); !fault.empty())
        return bad("tls.crt", fault);
    if (const std::string fault = key_fault(*secret.tls_key); !fault.empty())
        return bad("tls.key", fault);
    return TlsCertificate{name, *secret.tls_crt, *secret.tls_key};
}

std::string authority_fault(const model::ConfigMap& config_map)
{
    const std::string fault = config_map.ca_crt ? certificate_fault(*config_map.ca_crt) : "the key is missing";
    return fault.empty() ? "" : fmt::format("ConfigMap {}: ca.crt: {}", full_name(config_map.meta), fault);
}

std::string too_large_together(const model::ConfigMap& config_map)
{
    return fmt::format("ConfigMap {}: ca.crt: with those before it, it is larger than {} KiB; up to that is accepted",
                       full_name(config_map.meta), kPemBytesMax / 1024);
}

std::string joined(const std::vector<const model::ConfigMap*>& authorities)
{
    std::string pem;
    for (const model::ConfigMap* one : authorities) {
        pem += *one->ca_crt;
        if (!pem.ends_with('\n'))
            pem += '\n';
    }
    return pem;
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
    const auto [judged, is_new] = certificates_.try_emplace(*secret);
    if (is_new)
        judged->second = certificate_of(**secret);
    if (!judged->second)
        return std::unexpected(Verdict{reasons.invalid, judged->second.error()});
    return *judged->second;
}

std::expected<const model::ConfigMap*, Verdict>
Certificates::authority(const Referrer& from, const model::ObjectReference& ref, const ReferenceReasons& reasons) const
{
    const auto config_map = find(from, ref, reasons, grants_, config_maps_);
    if (!config_map)
        return std::unexpected(config_map.error());
    const auto [fault, is_new] = authority_faults_.try_emplace(*config_map);
    if (is_new)
        fault->second = authority_fault(**config_map);
    if (!fault->second.empty())
        return std::unexpected(Verdict{reasons.invalid, fault->second});
    return *config_map;
}

SharedText Certificates::authorities(const Referrer& from, const std::vector<model::ObjectReference>& refs,
                                     const ReferenceReasons& reasons, std::string_view field, Verdict& resolved) const
{
    std::vector<const model::ConfigMap*> good;
    std::size_t size = 0;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        const auto one = authority(from, refs[i], reasons);
        if (!one) {
            add_fault(resolved, one.error().reason, fmt::format("{}[{}]", field, i), one.error().message);
            continue;
        }
        if (std::ranges::find(good, *one) != good.end())
            continue;
        const std::size_t size_with_it = size + (*one)->ca_crt->size();
        if (size_with_it > kPemBytesMax) {
            add_fault(resolved, reasons.invalid, fmt::format("{}[{}]", field, i), too_large_together(**one));
            continue;
        }
        size = size_with_it;
        good.push_back(*one);
    }
    const auto [text, is_new] = authorities_.try_emplace(good);
    if (is_new)
        text->second = joined(good);
    return text->second;
}

}  // namespace sluice::plan
