// SPDX-License-Identifier: Apache-2.0
// Follows references to Secrets and ConfigMaps to certificates, where ReferenceGrants allow it. However many references
// lead to an object, it is judged once and held once. One thread at a time.
#pragma once

#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/plan/grants.h"
#include "agent/plan/state.h"

namespace sluice::plan {

// The reasons that the API has for one kind of reference; a missing grant is RefNotPermitted everywhere.
struct ReferenceReasons {
    const char* invalid;
    const char* kind;
};

class Certificates {
public:
    // Both must outlive it.
    Certificates(const model::Objects& objects, const Grants& grants);

    [[nodiscard]] std::expected<TlsCertificate, Verdict>
    certificate(const Referrer& from, const model::ObjectReference& ref, const ReferenceReasons& reasons) const;

    // The CAs of all good references, one after the other and each once: empty when none is good. Each bad one adds its
    // message to `resolved`; the first gives the reason. `field` is where the list stands.
    [[nodiscard]] SharedText authorities(const Referrer& from, const std::vector<model::ObjectReference>& refs,
                                         const ReferenceReasons& reasons, std::string_view field,
                                         Verdict& resolved) const;

private:
    [[nodiscard]] std::expected<const model::ConfigMap*, Verdict>
    authority(const Referrer& from, const model::ObjectReference& ref, const ReferenceReasons& reasons) const;

    const Grants& grants_;
    std::unordered_map<NameView, const model::Secret*, NameViewHash> secrets_;
    std::unordered_map<NameView, const model::ConfigMap*, NameViewHash> config_maps_;
    // What was found out so far.
    mutable std::unordered_map<const model::Secret*, std::expected<TlsCertificate, std::string>> certificates_;
    mutable std::unordered_map<const model::ConfigMap*, std::string> authority_faults_;  // empty: it is good
    mutable std::map<std::vector<const model::ConfigMap*>, SharedText> authorities_;
};

// Adds a message to a verdict that gathers several; the first reason stays.
void add_fault(Verdict& verdict, const std::string& reason, std::string_view field, const std::string& message);

}  // namespace sluice::plan
