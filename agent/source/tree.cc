// SPDX-License-Identifier: Apache-2.0
#include "agent/source/tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "agent/source/files.h"

namespace sluice::source {
namespace {

// Collects events into a Tree. After the first fault it ignores all further events: yaml-cpp offers no other way to
// stop it, and it keeps its own bound on depth (500, DeepRecursion).
class TreeBuilder final : public YAML::EventHandler {
public:
    explicit TreeBuilder(int first_line) : first_line_(first_line) {}

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        add_leaf(make(Node::Type::Null, mark), anchor);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override
    {
        check_tag(mark, tag, "str");
        Node node = make(Node::Type::Scalar, mark);
        node.is_string = !tag.empty() && tag != "?";
        node.text = value;
        node.cost += value.size();
        add_leaf(std::move(node), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        const auto target = anchors_.find(anchor);
        if (target == anchors_.end())
            return refuse(mark, "an alias may not stand inside the value that it names");
        add_item(mark, target->second);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override
    {
        check_tag(mark, tag, "seq");
        open(make(Node::Type::List, mark), anchor);
    }

    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override
    {
        check_tag(mark, tag, "map");
        open(make(Node::Type::Map, mark), anchor);
    }

    void OnSequenceEnd() override { close(); }
    void OnMapEnd() override { close(); }

    [[nodiscard]] std::expected<Tree, TextFault> take()
    {
        if (fault_)
            return std::unexpected(*fault_);
        return std::move(tree_);
    }

private:
    struct Open {
        std::uint32_t index;
        YAML::anchor_t anchor;
    };

    [[nodiscard]] int line_of(const YAML::Mark& mark) const { return first_line_ + std::max(mark.line, 0); }

    void refuse(const YAML::Mark& mark, std::string message)
    {
        if (!fault_)
            fault_ = TextFault{line_of(mark), std::move(message)};
    }

    [[nodiscard]] Node make(Node::Type type, const YAML::Mark& mark) const
    {
        Node node;
        node.type = type;
        node.line = line_of(mark);
        return node;
    }

    void check_tag(const YAML::Mark& mark, const std::string& tag, std::string_view plain)
    {
        constexpr std::string_view kPrefix = "tag:yaml.org,2002:";
        const bool accepted = tag.empty() || tag == "?" || tag == "!" ||
                              (tag.starts_with(kPrefix) && std::string_view(tag).substr(kPrefix.size()) == plain);
        if (!accepted)
            refuse(mark, "the tag " + printable(tag) + " is not accepted in a manifest");
    }

    void add_leaf(Node node, YAML::anchor_t anchor)
    {
        if (fault_)
            return;
        const YAML::Mark mark = mark_of(node);
        const auto index = static_cast<std::uint32_t>(tree_.nodes.size());
        tree_.nodes.push_back(std::move(node));
        if (anchor != YAML::NullAnchor)
            anchors_[anchor] = index;
        add_item(mark, index);
    }

    // A finished node, new or an alias' target, becomes an item of the innermost open one.
    void add_item(const YAML::Mark& mark, std::uint32_t index)
    {
        if (fault_)
            return;
        const Node& item = tree_.nodes[index];
        if (item.height + static_cast<int>(open_.size()) > kManifestDepthMax)
            return refuse(mark, too_deep());
        if (open_.empty()) {
            tree_.root = index;
            return;
        }
        Node& parent = tree_.nodes[open_.back().index];
        parent.items.push_back(index);
        parent.height = std::max(parent.height, item.height + 1);
        parent.cost += item.cost;
        if (parent.cost > kTreeCostMax)
            refuse(mark, "the document is too large with its aliases expanded: at most " +
                             std::to_string(kTreeCostMax) + " values and bytes");
    }

    void open(Node node, YAML::anchor_t anchor)
    {
        if (fault_)
            return;
        if (open_.size() >= static_cast<std::size_t>(kManifestDepthMax))
            return refuse(mark_of(node), too_deep());
        open_.push_back({static_cast<std::uint32_t>(tree_.nodes.size()), anchor});
        tree_.nodes.push_back(std::move(node));
    }

    void close()
    {
        if (fault_)
            return;
        const Open done = open_.back();
        open_.pop_back();
        if (done.anchor != YAML::NullAnchor)
            anchors_[done.anchor] = done.index;
        add_item(mark_of(tree_.nodes[done.index]), done.index);
    }

    [[nodiscard]] YAML::Mark mark_of(const Node& node) const
    {
        YAML::Mark mark;
        mark.line = node.line - first_line_;
        return mark;
    }

    static std::string too_deep()
    {
        return "the document is nested too deeply: at most " + std::to_string(kManifestDepthMax) + " levels";
    }

    int first_line_;
    Tree tree_;
    std::vector<Open> open_;
    std::map<YAML::anchor_t, std::uint32_t> anchors_;  // finished nodes only: a value cannot contain itself
    std::optional<TextFault> fault_;
};

}  // namespace

std::expected<Tree, TextFault> parse_document(const Document& document)
{
    TreeBuilder builder(document.first_line);
    try {
        std::istringstream stream{std::string(document.text)};
        YAML::Parser parser(stream);
        const bool found = parser.HandleNextDocument(builder);
        auto tree = builder.take();
        if (!tree)
            return tree;
        if (!found)
            return Tree{{Node{}}, 0};
        if (parser.HandleNextDocument(builder))
            return std::unexpected(TextFault{document.first_line, "a second value follows in the same document; "
                                                                  "documents are separated by a line \"---\""});
        return tree;
    } catch (const YAML::Exception& error) {
        if (auto tree = builder.take(); !tree)
            return tree;
        const int line = document.first_line + std::max(error.mark.line, 0);
        return std::unexpected(TextFault{line, "not valid YAML: " + printable(error.msg)});
    }
}

}  // namespace sluice::source
