// SPDX-License-Identifier: Apache-2.0
#include "agent/model/meta.h"

#include <algorithm>

namespace sluice::model {

bool LabelSelector::matches(const Labels& labels) const
{
    for (const auto& [key, value] : match_labels) {
        const auto found = labels.find(key);
        if (found == labels.end() || found->second != value)
            return false;
    }
    return std::ranges::all_of(match_expressions, [&](const Requirement& requirement) {
        const auto found = labels.find(requirement.key);
        const bool present = found != labels.end();
        const bool listed = present && std::ranges::find(requirement.values, found->second) != requirement.values.end();
        switch (requirement.op) {
        case Operator::In: return listed;
        case Operator::NotIn: return !listed;
        case Operator::Exists: return present;
        case Operator::DoesNotExist: return !present;
        }
        return false;
    });
}

}  // namespace sluice::model
