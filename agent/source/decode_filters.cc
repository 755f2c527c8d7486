// SPDX-License-Identifier: Apache-2.0
// Decoder of route filters, with the rules that the CRDs state.
#include <algorithm>
#include <array>

#include "agent/source/route_parts.h"
#include "agent/source/validate.h"

namespace sluice::source {
namespace {

constexpr std::size_t kHeadersMax = 16;

enum class FilterUse { Once, Repeated };
struct FilterType {
    std::string_view name;
    std::string_view field;  // that holds its settings
    FilterUse use;
    bool grpc;  // a GRPCRoute has it too
};
constexpr std::array<FilterType, 8> kFilterTypes{{
    {"RequestHeaderModifier", "requestHeaderModifier", FilterUse::Once, true},
    {"ResponseHeaderModifier", "responseHeaderModifier", FilterUse::Once, true},
    {"RequestMirror", "requestMirror", FilterUse::Repeated, true},
    {"RequestRedirect", "requestRedirect", FilterUse::Once, false},
    {"URLRewrite", "urlRewrite", FilterUse::Once, false},
    {"ExtensionRef", "extensionRef", FilterUse::Repeated, true},
    {"CORS", "cors", FilterUse::Once, false},
    {"ExternalAuth", "externalAuth", FilterUse::Once, false},
}};

// Blanks around a value are no part of it (RFC 9110 section 5.5).
std::string trimmed(std::string text)
{
    constexpr std::string_view kBlanks = " \t";
    text.erase(text.find_last_not_of(kBlanks) + 1);
    text.erase(0, text.find_first_not_of(kBlanks));
    return text;
}

std::vector<model::HeaderField> decode_fields(const Value& value)
{
    std::vector<model::HeaderField> fields;
    for (const Value& item : value.list(0, kHeadersMax)) {
        Fields f(item);
        fields.push_back(
            {f["name"].required().string(header_name), trimmed(f["value"].required().string(field_value))});
    }
    return fields;
}

model::HeaderModifier decode_header_modifier(const Value& value)
{
    Fields f(value);
    model::HeaderModifier modifier;
    modifier.set = decode_fields(f["set"]);
    modifier.add = decode_fields(f["add"]);
    for (const Value& item : f["remove"].list(0, kHeadersMax))
        modifier.remove.push_back(item.required().string(header_name));
    return modifier;
}

void decode_path_modifier(const Value& value, model::Redirect& redirect)
{
    Fields f(value);
    const Value full = f["replaceFullPath"];
    const Value prefix = f["replacePrefixMatch"];
    const bool is_full =
        f["type"].required().one_of<bool>({{"ReplaceFullPath", true}, {"ReplacePrefixMatch", false}}, true);
    if (is_full == prefix.present() || is_full != full.present())
        value.refuse("replaceFullPath belongs to type ReplaceFullPath, replacePrefixMatch to ReplacePrefixMatch");
    redirect.full_path = full.optional_string(plain_path);
    redirect.prefix = prefix.optional_string(path_prefix);
}

std::uint16_t decode_status(const Value& value)
{
    constexpr std::array<std::int64_t, 5> kAccepted{301, 302, 303, 307, 308};
    const auto code = value.integer(300, 399);
    if (code && std::ranges::find(kAccepted, *code) == kAccepted.end())
        value.refuse("not one of the accepted values: 301, 302, 303, 307, 308");
    return static_cast<std::uint16_t>(code.value_or(302));
}

model::Redirect decode_redirect(const Value& value)
{
    using namespace std::string_literals;
    Fields f(value);
    model::Redirect redirect;
    redirect.scheme = f["scheme"].one_of<std::string>({{"http", "http"s}, {"https", "https"s}}, "");
    redirect.hostname = f["hostname"].string(dns_subdomain);
    if (const Value path = f["path"]; path.present())
        decode_path_modifier(path, redirect);
    redirect.port = f["port"].port();
    redirect.status = decode_status(f["statusCode"]);
    return redirect;
}

// Adds the filter to `filters`, unless it is not valid.
void decode_filter(const Value& value, FilterSet set, model::Filters& filters)
{
    Fields f(value);
    const Value type = f["type"].required();
    const std::string name = type.string();
    const FilterType* found = nullptr;
    std::string accepted;
    for (const FilterType& each : kFilterTypes) {
        if (set == FilterSet::Grpc && !each.grpc)
            continue;
        accepted += (accepted.empty() ? "" : ", ") + std::string(each.name);
        const Value settings = f[each.field];
        if (each.name != name) {
            if (settings.present() && !name.empty())
                settings.refuse("does not belong to a filter of type " + printable(name));
            continue;
        }
        found = &each;
        if (!settings.present())
            settings.refuse("required with type " + name + ", but missing");
        else if (name == "RequestHeaderModifier")
            filters.request_headers = decode_header_modifier(settings);
        else if (name == "ResponseHeaderModifier")
            filters.response_headers = decode_header_modifier(settings);
        else if (name == "RequestRedirect")
            filters.redirect = decode_redirect(settings);
    }
    if (found == nullptr) {
        if (!name.empty())
            type.refuse("not one of the accepted values: " + accepted);
        return;
    }
    if (found->use == FilterUse::Once && std::ranges::find(filters.types, name) != filters.types.end())
        value.refuse(name + " cannot be repeated in one list of filters");
    filters.types.push_back(name);
}

}  // namespace

model::Filters decode_filters(const Value& value, FilterSet set)
{
    model::Filters filters;
    for (const Value& item : value.list(0, 16))
        decode_filter(item, set, filters);
    const auto has = [&](std::string_view type) {
        return std::ranges::find(filters.types, type) != filters.types.end();
    };
    if (has("RequestRedirect") && has("URLRewrite"))
        value.refuse("RequestRedirect and URLRewrite exclude each other");
    return filters;
}

}  // namespace sluice::source
