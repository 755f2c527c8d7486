// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/grants.h"

#include <fmt/format.h>

namespace sluice::plan {
namespace {

// No part can hold a newline once decoded as an API name. A name begins with "=": "*" covers all of a kind.
std::string grant_key(const Referrer& from, std::string_view to_kind, std::string_view to_ns, std::string_view to_name)
{
    return fmt::format("{}\n{}\n{}\n{}\n{}", from.kind, from.ns, to_kind, to_ns, to_name);
}

}  // namespace

Grants::Grants(const model::Objects& objects)
{
    for (const model::ReferenceGrant& grant : objects.reference_grants)
        for (const model::ReferenceGrant::From& from : grant.from)
            for (const model::ReferenceGrant::To& to : grant.to)
                if (from.group == model::kGatewayGroup && to.group.empty())
                    keys_.insert(
                        grant_key({from.kind, from.ns}, to.kind, grant.meta.ns, to.name ? "=" + *to.name : "*"));
}

bool Grants::allow(const Referrer& from, std::string_view to_kind, std::string_view to_ns,
                   std::string_view to_name) const
{
    return from.ns == to_ns || keys_.contains(grant_key(from, to_kind, to_ns, "*")) ||
           keys_.contains(grant_key(from, to_kind, to_ns, fmt::format("={}", to_name)));
}

std::string not_granted(const Referrer& from, std::string_view to_kind, std::string_view to_ns,
                        std::string_view to_name)
{
    return fmt::format("no ReferenceGrant in namespace \"{}\" lets a {} of namespace \"{}\" refer to {} \"{}\"", to_ns,
                       from.kind, from.ns, to_kind, to_name);
}

}  // namespace sluice::plan
