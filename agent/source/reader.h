// SPDX-License-Identifier: Apache-2.0
// Cursors over a manifest's tree. They track the field path, check types and bounds, and report what is wrong, so that
// a kind's decoder reads like the API's type. After a problem they hand out defaults and go on, to find the next one.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/source/files.h"
#include "agent/source/tree.h"

namespace sluice::source {

// The problems of one object (or of one document, before its object is known).
class Report {
public:
    Report(std::vector<Problem>& problems, std::string file) : problems_(problems), file_(std::move(file)) {}

    void set_object(std::string name) { object_ = std::move(name); }
    // From here on problems say where and what, but not which value was found: for objects that hold keys.
    void hide_values() { hides_values_ = true; }
    void add(bool fatal, int line, std::string field, std::string value, std::string message);
    [[nodiscard]] bool refused() const { return fatal_ > 0; }

private:
    std::vector<Problem>& problems_;
    std::string file_;
    std::string object_;
    bool hides_values_ = false;
    int fatal_ = 0;
    int notes_ = 0;
};

// What is wrong with a string, and what would be accepted; nothing when it is good.
using Fault = std::optional<std::string>;
using Check = Fault (*)(std::string_view);

// One value, or the place where it is missing. A null counts as missing, as it does for the API server.
class Value {
public:
    Value(Report& report, const Tree& tree, const Node* node, int line, std::string path, bool expected = true)
        : report_(&report), tree_(&tree), node_(node), line_(line), expected_(expected), path_(std::move(path))
    {
    }

    [[nodiscard]] bool present() const { return node_ != nullptr && node_->type != Node::Type::Null; }
    [[nodiscard]] bool is_map() const { return present() && node_->type == Node::Type::Map; }
    [[nodiscard]] bool is_list() const { return present() && node_->type == Node::Type::List; }
    [[nodiscard]] int line() const { return line_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const Node* node() const { return node_; }
    [[nodiscard]] const Tree& tree() const { return *tree_; }
    [[nodiscard]] Report& report() const { return *report_; }

    void refuse(std::string message) const { report_->add(true, line_, path_, shown(), std::move(message)); }
    void note(std::string message) const { report_->add(false, line_, path_, shown(), std::move(message)); }

    // Reports a missing value. Chains: f["name"].required().string(dns_label).
    const Value& required() const;
    // A string that passes `check`; "" when missing or wrong.
    [[nodiscard]] std::string string(Check check = nullptr) const;
    [[nodiscard]] std::string string_or(std::string_view fallback, Check check = nullptr) const;
    [[nodiscard]] std::optional<std::string> optional_string(Check check = nullptr) const;
    [[nodiscard]] std::optional<std::int64_t> integer(std::int64_t min, std::int64_t max) const;
    [[nodiscard]] std::optional<std::uint16_t> port() const;
    [[nodiscard]] std::optional<bool> boolean() const;
    [[nodiscard]] std::map<std::string, std::string> string_map() const;
    // The keys of a map, whatever they are, and their values.
    [[nodiscard]] std::vector<std::pair<std::string, Value>> entries() const;
    // The elements of a list; with more than `max` or fewer than `min` of them the list is refused and reads as empty.
    [[nodiscard]] std::vector<Value> list(std::size_t min, std::size_t max) const;
    // A string out of the given ones; `fallback` when missing.
    template <class T> struct Choice {
        std::string_view name;
        T value;
    };
    template <class T> [[nodiscard]] T one_of(std::initializer_list<Choice<T>> choices, T fallback) const
    {
        if (!present())
            return fallback;
        const std::optional<std::string> text = optional_string();
        std::string accepted;
        for (const Choice<T>& choice : choices) {
            if (text && *text == choice.name)
                return choice.value;
            accepted += (accepted.empty() ? "" : ", ") + std::string(choice.name);
        }
        if (text)
            refuse("not one of the accepted values: " + accepted);
        return fallback;
    }

private:
    [[nodiscard]] std::string shown() const;
    [[nodiscard]] bool is_plain_word() const;

    Report* report_;
    const Tree* tree_;
    const Node* node_;  // null when missing
    int line_;          // of the value, or of what it is missing from
    bool expected_;     // false: what would hold it is missing or wrong, and was reported if that matters
    std::string path_;
};

// The fields of a map. On destruction it reports every field that nobody asked for as unknown.
class Fields {
public:
    explicit Fields(const Value& map);
    ~Fields();
    Fields(const Fields&) = delete;
    Fields& operator=(const Fields&) = delete;

    [[nodiscard]] Value operator[](std::string_view name);
    [[nodiscard]] const Value& value() const { return map_; }
    // Fields of the API that sluice has no use for.
    void ignore(std::initializer_list<std::string_view> names);
    // Fields of the API that change what the object does, and that sluice does not act on.
    void not_acted_on(std::initializer_list<std::string_view> names);

private:
    Value map_;
    std::vector<bool> seen_;  // one a key
};

// The document under `value` as canonical text: keys sorted, lines and style gone. Reports keys given twice.
// `skip` names keys of the outermost map that are walked but leave no text.
[[nodiscard]] std::string canonical(const Value& value, std::initializer_list<std::string_view> skip);

}  // namespace sluice::source
