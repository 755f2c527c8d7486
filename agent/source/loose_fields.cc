// SPDX-License-Identifier: Apache-2.0
#include "agent/source/loose_fields.h"

namespace sluice::source {

Value loose_field(const Value& map, std::string_view name)
{
    for (std::size_t i = 0; map.is_map() && i + 1 < map.node()->items.size(); i += 2) {
        if (map.tree().at(map.node()->items[i]).text != name)
            continue;
        const Node& item = map.tree().at(map.node()->items[i + 1]);
        return {map.report(), map.tree(), &item, item.line, std::string(name)};
    }
    return {map.report(), map.tree(), nullptr, map.line(), std::string(name), false};
}

std::string loose_text(const Value& map, std::string_view name)
{
    const Value field = loose_field(map, name);
    return field.present() ? field.node()->text : "";
}

}  // namespace sluice::source
