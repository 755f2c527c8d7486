// SPDX-License-Identifier: Apache-2.0
#include "agent/source/reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

namespace sluice::source {
namespace {

constexpr int kProblemsPerObjectMax = 10;  // of each of the two severities

std::string child_path(const std::string& parent, std::string_view key)
{
    return parent.empty() ? printable(key) : parent + "." + printable(key);
}

std::string element_path(const std::string& parent, std::size_t index)
{
    return parent + "[" + std::to_string(index) + "]";
}

bool looks_like_number(std::string_view text)
{
    if (text.starts_with('-') || text.starts_with('+'))
        text.remove_prefix(1);
    if (text.empty() || text.find_first_of("0123456789") == std::string_view::npos)
        return false;
    if (text.starts_with("0x") || text.starts_with("0o"))
        return true;
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return end == text.data() + text.size() && error != std::errc::invalid_argument;
}

// YAML 1.1, which the API's own tools read.
bool looks_like_boolean(std::string_view text)
{
    constexpr std::array kWords = {"true", "True", "TRUE", "false", "False", "FALSE", "yes", "Yes", "YES",
                                   "no",   "No",   "NO",   "on",    "On",    "ON",    "off", "Off", "OFF"};
    return std::ranges::find(kWords, text) != kWords.end();
}

}  // namespace

void Report::add(bool fatal, int line, std::string field, std::string value, std::string message)
{
    int& count = fatal ? fatal_ : notes_;
    if (++count <= kProblemsPerObjectMax)
        problems_.push_back(
            {fatal, file_, line, object_, printable(field), hides_values_ ? "" : printable(value), std::move(message)});
}

std::string Value::shown() const
{
    if (!present())
        return "";
    switch (node_->type) {
    case Node::Type::List: return "[...]";
    case Node::Type::Map: return "{...}";
    default: return node_->text;
    }
}

// A scalar that YAML takes for a number or a boolean: the API server refuses it where it wants a string.
bool Value::is_plain_word() const
{
    return !node_->is_string && (looks_like_number(node_->text) || looks_like_boolean(node_->text));
}

const Value& Value::required() const
{
    if (!present() && expected_)
        refuse("required, but missing");
    return *this;
}

std::optional<std::string> Value::optional_string(Check check) const
{
    if (!present())
        return std::nullopt;
    if (node_->type != Node::Type::Scalar) {
        refuse("must be a string");
        return std::nullopt;
    }
    if (is_plain_word()) {
        refuse("must be a string: put it in quotes");
        return std::nullopt;
    }
    if (check != nullptr) {
        if (Fault fault = check(node_->text)) {
            refuse(std::move(*fault));
            return std::nullopt;
        }
    }
    return node_->text;
}

std::string Value::string(Check check) const { return optional_string(check).value_or(""); }

std::string Value::string_or(std::string_view fallback, Check check) const
{
    return present() ? string(check) : std::string(fallback);
}

std::optional<std::int64_t> Value::integer(std::int64_t min, std::int64_t max) const
{
    if (!present())
        return std::nullopt;
    const std::string range = std::to_string(min) + " to " + std::to_string(max);
    if (node_->type != Node::Type::Scalar || node_->is_string) {
        refuse("must be a number from " + range + (node_->type == Node::Type::Scalar ? ", without quotes" : ""));
        return std::nullopt;
    }
    const std::string& text = node_->text;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool padded = text.size() > 1 && text.find_first_not_of('-') == text.find('0') && number != 0;
    if (error != std::errc{} || end != text.data() + text.size() || padded || number < min || number > max) {
        refuse("must be a whole number from " + range);
        return std::nullopt;
    }
    return number;
}

std::optional<std::uint16_t> Value::port() const
{
    const auto number = integer(1, 65535);
    return number ? std::optional(static_cast<std::uint16_t>(*number)) : std::nullopt;
}

std::optional<bool> Value::boolean() const
{
    if (!present())
        return std::nullopt;
    if (node_->type == Node::Type::Scalar && !node_->is_string) {
        if (node_->text == "true")
            return true;
        if (node_->text == "false")
            return false;
    }
    refuse("must be true or false");
    return std::nullopt;
}

std::vector<std::pair<std::string, Value>> Value::entries() const
{
    std::vector<std::pair<std::string, Value>> result;
    if (!present())
        return result;
    if (!is_map()) {
        refuse("must be a map of strings");
        return result;
    }
    for (std::size_t i = 0; i + 1 < node_->items.size(); i += 2) {
        const std::string& key = tree_->at(node_->items[i]).text;
        const Node& item = tree_->at(node_->items[i + 1]);
        result.emplace_back(key, Value(*report_, *tree_, &item, item.line, path_ + "[" + printable(key) + "]"));
    }
    return result;
}

std::map<std::string, std::string> Value::string_map() const
{
    std::map<std::string, std::string> result;
    for (const auto& [key, value] : entries())
        result[key] = value.string();
    return result;
}

std::vector<Value> Value::list(std::size_t min, std::size_t max) const
{
    std::vector<Value> values;
    if (!present())
        return values;
    if (!is_list()) {
        refuse("must be a list");
        return values;
    }
    const std::size_t count = node_->items.size();
    if (count < min || count > max) {
        refuse("has " + std::to_string(count) + " elements; accepted are " + std::to_string(min) + " to " +
               std::to_string(max));
        return values;
    }
    values.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const Node& item = tree_->at(node_->items[i]);
        values.emplace_back(*report_, *tree_, &item, item.line, element_path(path_, i));
    }
    return values;
}

Fields::Fields(const Value& map) : map_(map)
{
    if (map.is_map())
        seen_.resize(map.node()->items.size() / 2);
    else if (map.node() != nullptr && map.path().ends_with(']') && !map.present())
        map.refuse("must be an object, not empty");
    else if (map.present())
        map.refuse("must be an object with fields");
}

Fields::~Fields()
{
    for (std::size_t i = 0; i < seen_.size(); ++i) {
        if (seen_[i])
            continue;
        const Node& key = map_.tree().at(map_.node()->items[2 * i]);
        map_.report().add(false, key.line, child_path(map_.path(), key.text), "",
                          "unknown field: the API has none of this name");
    }
}

Value Fields::operator[](std::string_view name)
{
    for (std::size_t i = 0; i < seen_.size(); ++i) {
        if (map_.tree().at(map_.node()->items[2 * i]).text != name)
            continue;
        seen_[i] = true;
        const Node& item = map_.tree().at(map_.node()->items[2 * i + 1]);
        return {map_.report(), map_.tree(), &item, item.line, child_path(map_.path(), name)};
    }
    return {map_.report(), map_.tree(), nullptr, map_.line(), child_path(map_.path(), name), map_.is_map()};
}

void Fields::ignore(std::initializer_list<std::string_view> names)
{
    for (const std::string_view name : names)
        static_cast<void>((*this)[name]);
}

void Fields::not_acted_on(std::initializer_list<std::string_view> names)
{
    for (const std::string_view name : names) {
        if (const Value value = (*this)[name]; value.present())
            value.note("sluice does not act on this field");
    }
}

namespace {

// Writes canonical text. The path to where it stands is a chain on the stack, spelled out for a problem only: the
// number of steps is bounded by kTreeCostMax and their depth by kManifestDepthMax, when the tree was built.
class CanonicalWriter {
public:
    explicit CanonicalWriter(const Value& root) : root_(root) {}

    struct Step {
        const Step* parent;
        const Node* key;  // null in a list
        std::size_t index;
    };

    void write(const Node& node, const Step* at, std::initializer_list<std::string_view> skip)
    {
        switch (node.type) {
        case Node::Type::Null: out_ += '~'; break;
        case Node::Type::Scalar: write_scalar(node); break;
        case Node::Type::List: write_list(node, at); break;
        case Node::Type::Map: write_map(node, at, skip); break;
        }
    }

    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    // A number and the string of the same digits are different specs.
    void write_scalar(const Node& node)
    {
        out_ += node.is_string ? '"' : '=';
        out_ += std::to_string(node.text.size()) + ":" + node.text;
    }

    void write_list(const Node& node, const Step* at)
    {
        out_ += '[';
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            const Step step{at, nullptr, i};
            write(root_.tree().at(node.items[i]), &step, {});
            out_ += ',';
        }
        out_ += ']';
    }

    void write_map(const Node& node, const Step* at, std::initializer_list<std::string_view> skip)
    {
        std::vector<std::pair<const Node*, const Node*>> entries;
        for (std::size_t i = 0; i + 1 < node.items.size(); i += 2)
            entries.emplace_back(&root_.tree().at(node.items[i]), &root_.tree().at(node.items[i + 1]));
        // Nodes stand in the document's order: of two equal keys the later one is reported.
        std::ranges::sort(entries, [](const auto& a, const auto& b) {
            return std::tie(a.first->text, a.first) < std::tie(b.first->text, b.first);
        });
        out_ += '{';
        const Node* previous = nullptr;
        for (const auto& [key, item] : entries) {
            const Step step{at, key, 0};
            if (key->type != Node::Type::Scalar)
                refuse(*key, at, "a key must be a string");
            else if (key->text == "<<" && !key->is_string)
                refuse(*key, &step, "merge keys are not supported: write the fields out");
            else if (previous != nullptr && previous->text == key->text)
                refuse(*key, &step, "the field is given twice in one object");
            previous = key;
            const std::size_t before = out_.size();
            write_scalar(*key);
            write(*item, &step, {});
            if (std::ranges::find(skip, key->text) != skip.end())
                out_.resize(before);
        }
        out_ += '}';
    }

    void refuse(const Node& key, const Step* at, std::string message) const
    {
        root_.report().add(true, key.line, path_of(at), "", std::move(message));
    }

    [[nodiscard]] std::string path_of(const Step* at) const
    {
        if (at == nullptr)
            return root_.path();
        const std::string parent = path_of(at->parent);
        return at->key != nullptr ? child_path(parent, at->key->text) : element_path(parent, at->index);
    }

    const Value& root_;
    std::string out_;
};

}  // namespace

std::string canonical(const Value& value, std::initializer_list<std::string_view> skip)
{
    CanonicalWriter writer(value);
    writer.write(*value.node(), nullptr, skip);
    return writer.take();
}

}  // namespace sluice::source
