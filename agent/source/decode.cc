// SPDX-License-Identifier: Apache-2.0
#include "agent/source/decode.h"

#include <algorithm>
#include <array>

#include "agent/source/kinds.h"
#include "agent/source/loose_fields.h"
#include "agent/source/reader.h"
#include "agent/source/text.h"
#include "agent/source/tree.h"

namespace sluice::source {
namespace {

using model::kGatewayGroup;

constexpr std::array<Kind, 16> kKinds{{
    {"GatewayClass", kGatewayGroup, {"v1", "v1beta1", "v1alpha2"}, true, false, false, decode_gateway_class},
    {"Gateway", kGatewayGroup, {"v1", "v1beta1", "v1alpha2"}, false, false, false, decode_gateway},
    {"HTTPRoute", kGatewayGroup, {"v1", "v1beta1", "v1alpha2"}, false, false, false, decode_http_route},
    {"GRPCRoute", kGatewayGroup, {"v1", "v1alpha2"}, false, false, false, decode_grpc_route},
    {"TLSRoute", kGatewayGroup, {"v1", "v1alpha3", "v1alpha2"}, false, false, false, decode_tls_route},
    {"TCPRoute", kGatewayGroup, {"v1", "v1alpha2"}, false, false, false, decode_tcp_route},
    {"UDPRoute", kGatewayGroup, {"v1", "v1alpha2"}, false, false, false, decode_udp_route},
    {"BackendTLSPolicy", kGatewayGroup, {"v1", "v1alpha3"}, false, false, false, decode_backend_tls_policy},
    {"ReferenceGrant", kGatewayGroup, {"v1", "v1beta1", "v1alpha2"}, false, false, false, decode_reference_grant},
    {"Namespace", "", {"v1"}, true, true, false, decode_namespace},
    {"Service", "", {"v1"}, false, true, false, decode_service},
    {"EndpointSlice", "discovery.k8s.io", {"v1"}, false, false, false, decode_endpoint_slice},
    {"Secret", "", {"v1"}, false, false, true, decode_secret},
    {"ConfigMap", "", {"v1"}, false, false, false, decode_config_map},
    {"NodeGatewayConfig", model::kConfigGroup, {"v1alpha1"}, true, false, false, decode_node_gateway_config},
    {"Node", "", {"v1"}, true, false, false, decode_node},
}};

class Decoder {
public:
    explicit Decoder(const std::string& file) : file_(file) {}

    void refuse_file(int line, std::string message)
    {
        result_.problems.push_back({true, file_, line, "", "", "", std::move(message)});
        result_.complete = false;
    }

    void decode_document(const Document& document)
    {
        const auto tree = parse_document(document);
        if (!tree)
            return refuse_file(tree.error().line, tree.error().message);
        const Node& root = tree->at(tree->root);
        if (root.type != Node::Type::Null)
            decode_value(*tree, root, "");
    }

    [[nodiscard]] bool full() const { return result_.problems.size() >= kManifestFileProblemsMax; }
    [[nodiscard]] Decoded take() { return std::move(result_); }

private:
    // One object, or a List of them. Recursion is bounded by kManifestDepthMax, held by the tree.
    void decode_value(const Tree& tree, const Node& node, const std::string& path)
    {
        Report report(result_.problems, file_);
        const Value value(report, tree, &node, node.line, path);
        if (!value.is_map()) {
            value.refuse("a manifest must be an object with apiVersion, kind and metadata");
            result_.complete = false;
            return;
        }
        const std::string kind = loose_text(value, "kind");
        const std::string api_version = loose_text(value, "apiVersion");
        const std::size_t slash = api_version.find('/');
        const std::string group = slash == std::string::npos ? "" : api_version.substr(0, slash);
        const std::string version = slash == std::string::npos ? api_version : api_version.substr(slash + 1);
        const auto same_kind = std::ranges::find(kKinds, kind, &Kind::name);
        const Kind unknown{kind, "", {}, false, false, false, nullptr};
        const model::ObjectKey named = key_of(value, same_kind != kKinds.end() ? *same_kind : unknown);
        report.set_object(printable(named.name.empty() ? kind : named.to_string()));
        // By the kind alone, so that a wrong apiVersion shows nothing either.
        if (same_kind != kKinds.end() && same_kind->holds_keys)
            report.hide_values();
        if (kind.empty() || api_version.empty()) {
            Fields f(value);
            static_cast<void>(f["apiVersion"].required().string());
            static_cast<void>(f["kind"].required().string());
            f.ignore({"metadata", "spec", "status"});
            result_.complete = false;
            return;
        }
        if (kind == "List" && api_version == "v1")
            return decode_list(tree, value);
        const auto row =
            std::ranges::find_if(kKinds, [&](const Kind& each) { return each.name == kind && each.group == group; });
        if (row == kKinds.end())
            return report.add(false, node.line, "kind", kind,
                              "not used by sluice: " + printable(api_version) + " " + printable(kind));
        if (std::ranges::find(row->versions, version) == row->versions.end())
            refuse_version(value, *row, api_version);
        decode_object(value, *row, named, canonical(value, {"apiVersion", "metadata", "status"}));
    }

    static void refuse_version(const Value& value, const Kind& kind, const std::string& found)
    {
        std::string accepted;
        for (const std::string_view version : kind.versions) {
            if (!version.empty())
                accepted += (accepted.empty() ? "" : ", ") + (kind.group.empty() ? "" : std::string(kind.group) + "/") +
                            std::string(version);
        }
        value.report().add(true, value.line(), "apiVersion", found,
                           "not a version of " + std::string(kind.name) + "; accepted: " + accepted);
    }

    void decode_list(const Tree& tree, const Value& list)
    {
        Fields f(list);
        f.ignore({"apiVersion", "kind", "metadata"});
        const Value items = f["items"].required();
        result_.complete = result_.complete && items.is_list();
        for (const Value& item : items.list(0, kTreeCostMax)) {
            if (full())
                return;
            decode_value(tree, *item.node(), item.path());
        }
    }

    // The identity as written, defaults applied.
    static model::ObjectKey key_of(const Value& value, const Kind& kind)
    {
        const Value metadata = loose_field(value, "metadata");
        const std::string ns = loose_text(metadata, "namespace");
        return {std::string(kind.name), kind.cluster_scoped ? "" : (ns.empty() ? "default" : ns),
                loose_text(metadata, "name")};
    }

    void decode_object(const Value& value, const Kind& kind, const model::ObjectKey& key, std::string spec)
    {
        Report& report = value.report();
        Fields root(value);
        root.ignore({"apiVersion", "kind", "status"});
        model::ObjectMeta meta = decode_meta(root["metadata"], kind);
        AnyObject object = kind.decode(root, std::move(meta));
        if (!report.refused())
            result_.objects.push_back({std::move(object), key, value.line(), std::move(spec)});
        else if (!key.name.empty())
            result_.refused.push_back({key, value.line()});
        else
            result_.complete = false;
    }

    const std::string& file_;
    Decoded result_;
};

}  // namespace

Decoded decode(std::string_view text, const std::string& file)
{
    Decoder decoder(file);
    if (text.size() > kManifestBytesMax) {
        decoder.refuse_file(0, "the file has more than " + std::to_string(kManifestBytesMax) + " bytes");
        return decoder.take();
    }
    if (const auto fault = find_text_fault(text)) {
        decoder.refuse_file(fault->line, fault->message);
        return decoder.take();
    }
    const auto documents = split_documents(text);
    if (documents.size() > kManifestDocumentsMax) {
        decoder.refuse_file(0, "the file has more than " + std::to_string(kManifestDocumentsMax) + " documents");
        return decoder.take();
    }
    for (const Document& document : documents) {
        if (decoder.full()) {
            decoder.refuse_file(document.first_line, "too many problems: the rest of the file is not read");
            break;
        }
        decoder.decode_document(document);
    }
    return decoder.take();
}

}  // namespace sluice::source
