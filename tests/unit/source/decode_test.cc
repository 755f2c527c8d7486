// SPDX-License-Identifier: Apache-2.0
// The decoder on good input: defaults, versions, JSON, lists; and what it reports without refusing.
#include "agent/source/decode.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::source {
namespace {

using model::AllowedRoutes;
using model::PathMatchType;

std::string gateway_object(const std::string& kind, const std::string& version, const std::string& spec)
{
    return "apiVersion: gateway.networking.k8s.io/" + version + "\nkind: " + kind +
           "\nmetadata: {name: x}\nspec: " + spec + "\n";
}

Decoded decoded_of(const std::string& text) { return decode(text, "f.yaml"); }

template <class T> T only(const std::string& text)
{
    const Decoded decoded = decoded_of(text);
    for (const Problem& problem : decoded.problems)
        ADD_FAILURE() << to_string(problem);
    if (decoded.objects.size() != 1 || !std::holds_alternative<T>(decoded.objects[0].object)) {
        ADD_FAILURE() << "not one " << T::kKind << ": " << text;
        return {};
    }
    return std::get<T>(decoded.objects[0].object);
}

TEST(Decode, AKindIsReadInTheVersionsThatTheApiHasAndNoOther)
{
    struct Row {
        const char* kind;
        const char* spec;
        std::vector<std::string> accepted;
    };
    const Row rows[] = {
        {"GatewayClass", "{controllerName: a.example/b}", {"v1", "v1beta1", "v1alpha2"}},
        {"Gateway",
         "{gatewayClassName: a, listeners: [{name: a, port: 1, protocol: TCP}]}",
         {"v1", "v1beta1", "v1alpha2"}},
        {"HTTPRoute", "{}", {"v1", "v1beta1", "v1alpha2"}},
        {"GRPCRoute", "{}", {"v1", "v1alpha2"}},
        {"TLSRoute", "{hostnames: [a], rules: [{backendRefs: [{name: a, port: 1}]}]}", {"v1", "v1alpha3", "v1alpha2"}},
        {"BackendTLSPolicy",
         "{targetRefs: [{group: '', kind: Service, name: a}], validation: {hostname: a, "
         "wellKnownCACertificates: System}}",
         {"v1", "v1alpha3"}},
        {"TCPRoute", "{rules: [{backendRefs: [{name: a, port: 1}]}]}", {"v1", "v1alpha2"}},
        {"UDPRoute", "{rules: [{backendRefs: [{name: a, port: 1}]}]}", {"v1", "v1alpha2"}},
        {"ReferenceGrant",
         "{from: [{group: a, kind: B, namespace: c}], to: [{group: '', kind: Service}]}",
         {"v1", "v1beta1", "v1alpha2"}},
    };
    for (const Row& row : rows) {
        for (const char* version : {"v1", "v1beta1", "v1alpha2", "v1alpha3", "v2"}) {
            SCOPED_TRACE(std::string(row.kind) + " " + version);
            const Decoded decoded = decoded_of(gateway_object(row.kind, version, row.spec));
            const bool accepted = std::ranges::find(row.accepted, version) != row.accepted.end();
            EXPECT_EQ(decoded.objects.size(), accepted ? 1U : 0U);
            ASSERT_EQ(decoded.problems.size(), accepted ? 0U : 1U);
            if (accepted)
                continue;
            for (const std::string& each : row.accepted)
                EXPECT_NE(decoded.problems[0].message.find("gateway.networking.k8s.io/" + each), std::string::npos);
        }
    }
}

TEST(Decode, AnEmptyHttpRouteGetsTheDefaultRule)
{
    const auto route =
        only<model::HttpRoute>("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: x}\n");
    EXPECT_EQ(route.meta.ns, "default");
    ASSERT_EQ(route.rules.size(), 1U);
    ASSERT_EQ(route.rules[0].matches.size(), 1U);
    EXPECT_EQ(route.rules[0].matches[0], (model::HttpMatch{{PathMatchType::PathPrefix, "/"}, {}, {}, ""}));
    EXPECT_TRUE(route.rules[0].backend_refs.empty());
}

TEST(Decode, AnHttpRouteKeepsWhatItSays)
{
    const auto route = only<model::HttpRoute>(gateway_object("HTTPRoute", "v1", R"({
        parentRefs: [{name: a}, {name: b, namespace: ns, sectionName: s, port: 81, group: "", kind: Service}],
        hostnames: ["*.example.com", "a.example.com"],
        rules: [{name: r, matches: [
            {path: {type: RegularExpression, value: "/[a-z]//+"}, method: PATCH,
             headers: [{name: X-A, value: "1"}, {name: x-b, type: RegularExpression, value: "^b"}],
             queryParams: [{name: q, value: v}]}, {path: {value: /p}}],
          filters: [{type: RequestMirror, requestMirror: {}}, {type: URLRewrite, urlRewrite: {}},
                    {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-S, value: " a b\t"}]}}],
          timeouts: {request: 1m30s, backendRequest: 500ms},
          backendRefs: [{name: s, port: 80}, {name: t, port: 81, weight: 0, namespace: ns},
                        {name: u, group: x.example, kind: Thing, filters: [{type: CORS, cors: {}}]}]}]})"));
    ASSERT_EQ(route.parent_refs.size(), 2U);
    EXPECT_EQ(route.parent_refs[0], (model::ParentReference{.ns = {}, .name = "a", .section_name = {}, .port = {}}));
    EXPECT_EQ(route.parent_refs[1], (model::ParentReference{"", "Service", "ns", "b", "s", std::uint16_t{81}}));
    EXPECT_EQ(route.hostnames, (std::vector<std::string>{"*.example.com", "a.example.com"}));
    ASSERT_EQ(route.rules.size(), 1U);
    const auto& rule = route.rules[0];
    ASSERT_EQ(rule.matches.size(), 2U);
    EXPECT_EQ(rule.matches[0].path, (model::PathMatch{PathMatchType::RegularExpression, "/[a-z]//+"}));
    EXPECT_EQ(rule.matches[0].method, "PATCH");
    ASSERT_EQ(rule.matches[0].headers.size(), 2U);
    EXPECT_EQ(rule.matches[0].headers[1].type, model::ValueMatchType::RegularExpression);
    EXPECT_EQ(rule.matches[0].query_params.at(0).value, "v");
    EXPECT_EQ(rule.matches[1].path, (model::PathMatch{PathMatchType::PathPrefix, "/p"}));
    EXPECT_EQ(rule.filters.types, (std::vector<std::string>{"RequestMirror", "URLRewrite", "RequestHeaderModifier"}));
    EXPECT_EQ(rule.filters.request_headers.set.at(0).value, "a b") << "blanks around it are no part of it";
    EXPECT_EQ(rule.request_timeout_ms, 90'000U);
    EXPECT_EQ(rule.backend_request_timeout_ms, 500U);
    ASSERT_EQ(rule.backend_refs.size(), 3U);
    EXPECT_EQ(rule.backend_refs[0].weight, 1U);
    EXPECT_EQ(rule.backend_refs[0].kind, "Service");
    EXPECT_EQ(rule.backend_refs[1].weight, 0U);
    EXPECT_EQ(rule.backend_refs[1].ns, "ns");
    EXPECT_EQ(rule.backend_refs[2].filters.types, std::vector<std::string>{"CORS"});
}

TEST(Decode, AGatewayGetsTheApisDefaults)
{
    const auto gateway = only<model::Gateway>(gateway_object("Gateway", "v1", R"({gatewayClassName: c,
        addresses: [{value: "2001:db8::1"}, {type: Hostname, value: a.example}],
        listeners: [{name: a, port: 80, protocol: HTTP, hostname: ""},
          {name: b, port: 65535, protocol: example.com/x, allowedRoutes: {kinds: [{kind: TCPRoute}],
            namespaces: {from: Selector,
            selector: {matchLabels: {k: v}, matchExpressions: [{key: e, operator: NotIn, values: [x]}]}}}}]})"));
    EXPECT_EQ(gateway.addresses.at(0).type, "IPAddress");
    ASSERT_EQ(gateway.listeners.size(), 2U);
    EXPECT_EQ(gateway.listeners[0].allowed_routes.from, AllowedRoutes::From::Same);
    EXPECT_EQ(gateway.listeners[0].hostname, "");
    const auto& allowed = gateway.listeners[1].allowed_routes;
    EXPECT_EQ(allowed.from, AllowedRoutes::From::Selector);
    EXPECT_EQ(allowed.kinds.at(0), (model::RouteGroupKind{model::kGatewayGroup, "TCPRoute"}));
    EXPECT_TRUE(allowed.selector.matches({{"k", "v"}, {"e", "y"}}));
    EXPECT_FALSE(allowed.selector.matches({{"k", "v"}, {"e", "x"}}));
}

TEST(Decode, CoreKindsGetTheApisDefaults)
{
    const auto ns = only<model::Namespace>("apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n");
    EXPECT_EQ(ns.meta.ns, "");
    EXPECT_EQ(ns.meta.labels.at("kubernetes.io/metadata.name"), "n");
    const auto service = only<model::Service>("apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
                                              "spec: {clusterIP: None, ports: [{port: 80, targetPort: http}]}\n");
    EXPECT_EQ(service.type, "ClusterIP");
    EXPECT_EQ(service.ports.at(0).protocol, "TCP");
    const auto slice = only<model::EndpointSlice>(R"({apiVersion: discovery.k8s.io/v1, kind: EndpointSlice,
        metadata: {name: e, labels: {kubernetes.io/service-name: s}}, addressType: IPv4,
        ports: [{port: 80}, {name: every}],
        endpoints: [{addresses: [192.0.2.1]}, {addresses: [192.0.2.2], nodeName: n,
                     conditions: {ready: false, serving: true, terminating: true}}]})");
    EXPECT_EQ(slice.service_name, "s");
    ASSERT_EQ(slice.ports.size(), 1U);
    ASSERT_EQ(slice.endpoints.size(), 2U);
    EXPECT_TRUE(slice.endpoints[0].ready && slice.endpoints[0].serving && !slice.endpoints[0].terminating);
    EXPECT_TRUE(!slice.endpoints[1].ready && slice.endpoints[1].serving && slice.endpoints[1].terminating);
    EXPECT_EQ(slice.endpoints[1].addresses.at(0), IpAddress::parse("192.0.2.2"));
}

TEST(Decode, OfAnEndpointsAddressesTheFirstCountsAndAllMustBeGood)
{
    const std::string head = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: e}\n"
                             "addressType: IPv4\nendpoints: [{addresses: ";
    const auto slice = only<model::EndpointSlice>(head + "[192.0.2.9, 192.0.2.1, 192.0.2.2]}]\n");
    ASSERT_EQ(slice.endpoints.size(), 1U);
    EXPECT_EQ(slice.endpoints[0].addresses, std::vector<IpAddress>{*IpAddress::parse("192.0.2.9")});
    for (const char* bad : {"[192.0.2.9, '2001:db8::1']", "[192.0.2.9, 127.0.0.1]", "[192.0.2.9, x]", "[x, 192.0.2.9]"})
        EXPECT_FALSE(decoded_of(head + bad + "}]\n").problems.empty()) << bad;
}

TEST(Decode, JsonIsReadWithTabsEscapesAndWithoutSpaces)
{
    const auto ns =
        only<model::Namespace>("{\r\n\t\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\r\n\t\"metadata\":{\"name\":\"n\","
                               "\"annotations\":{\"a\":\"\\u00e9\\n\\\"\\/\",\"b\":\"\"}}}");
    EXPECT_EQ(ns.meta.annotations.at("a"), "\xc3\xa9\n\"/");
    EXPECT_EQ(ns.meta.annotations.at("b"), "");
}

TEST(Decode, ListsAreUnpackedAndEmptyDocumentsSkipped)
{
    const Decoded decoded = decoded_of("# nothing\n---\n---\napiVersion: v1\nkind: List\nitems:\n"
                                       "- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n"
                                       "- {apiVersion: v1, kind: Namespace, metadata: {name: B}}\n"
                                       "---\nnull\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: c}}\n...\n");
    EXPECT_EQ(decoded.objects.size(), 2U);
    ASSERT_EQ(decoded.problems.size(), 1U);
    EXPECT_EQ(decoded.problems[0].field, "items[1].metadata.name");
    EXPECT_EQ(decoded.problems[0].line, 8);
    EXPECT_EQ(decoded.objects[1].line, 12);
}

TEST(Decode, WhatIsNotUsedIsReportedAndNotFatal)
{
    struct Row {
        std::string text, field;
        std::size_t objects;
    };
    const Row rows[] = {
        {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {}\n", "kind", 0},
        {"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: x}\n", "kind", 0},
        {gateway_object("HTTPRoute", "v1", "{hostname: a.example}"), "spec.hostname", 1},
        {gateway_object("HTTPRoute", "v1", "{rules: [{matchs: []}]}"), "spec.rules[0].matchs", 1},
        {gateway_object("HTTPRoute", "v1", "{rules: [{retry: {attempts: 2}}]}"), "spec.rules[0].retry", 1},
    };
    for (const Row& row : rows) {
        const Decoded decoded = decoded_of(row.text);
        EXPECT_EQ(decoded.objects.size(), row.objects) << row.text;
        ASSERT_EQ(decoded.problems.size(), 1U) << row.text;
        EXPECT_FALSE(decoded.problems[0].fatal);
        EXPECT_EQ(decoded.problems[0].field, row.field);
        EXPECT_TRUE(decoded.complete);
    }
}

TEST(Decode, WhatTheApiServerAddsIsNotReported)
{
    only<model::Service>(
        "apiVersion: v1\nkind: Service\nmetadata: {name: s, uid: u, resourceVersion: '1', generation: 3,\n"
        "  creationTimestamp: 2026-01-02T03:04:05Z, managedFields: [{manager: kubectl}]}\n"
        "spec: {clusterIP: 10.0.0.1, ipFamilies: [IPv4], sessionAffinity: None}\nstatus: {loadBalancer: {}}\n");
}

TEST(Decode, OnlyTheSpecMakesAGeneration)
{
    const std::string base =
        gateway_object("HTTPRoute", "v1", "{hostnames: [a.example], parentRefs: [{name: g, port: 80}]}");
    const auto spec_of = [](const std::string& text) { return decoded_of(text).objects.at(0).spec; };
    for (const std::string& same :
         {base + "status: {parents: []}\n", "# a comment\n" + base,
          gateway_object("HTTPRoute", "v1beta1",
                         "\n  parentRefs:\n  - port: 80\n    name: g\n  hostnames: [a.example]")})
        EXPECT_EQ(spec_of(same), spec_of(base)) << same;
    EXPECT_NE(spec_of(gateway_object("HTTPRoute", "v1", "{hostnames: [b.example], parentRefs: [{name: g, port: 80}]}")),
              spec_of(base));
}

TEST(Decode, AtMostTenProblemsAnObjectAndABoundAFile)
{
    std::string rules;
    for (int i = 0; i < 16; ++i)
        rules += "{backendRefs: [{name: a}], x: 1},";
    const std::string text = gateway_object("HTTPRoute", "v1", "{rules: [" + rules + "]}");
    const Decoded one = decoded_of(text);
    EXPECT_EQ(std::ranges::count_if(one.problems, &Problem::fatal), 10);
    EXPECT_EQ(one.problems.size(), 20U);
    std::string many;
    for (int i = 0; i < 100; ++i)
        many += text + "---\n";
    const Decoded all = decoded_of(many);
    EXPECT_LE(all.problems.size(), kManifestFileProblemsMax + 20);
    EXPECT_FALSE(all.complete);
}

TEST(Decode, BoundsHoldAtThemAndRefusePastThem)
{
    struct Row {
        const char* before;
        std::size_t most;
        std::string element;
        const char* after;
    };
    const std::string match = "{path: {value: /a}}";
    const Row rows[] = {
        {"{rules: [", 16, "{}", "]}"},
        {"{rules: [{matches: [", 64, match, "]}]}"},
        {"{rules: [{backendRefs: [", 16, "{name: a, port: 1}", "]}]}"},
        {"{hostnames: [", 16, "a.example", "]}"},
        {"{rules: [{filters: [", 16, "{type: ExtensionRef, extensionRef: {}}", "]}]}"},
    };
    for (const Row& row : rows) {
        for (const std::size_t count : {row.most, row.most + 1}) {
            std::string spec = row.before;
            for (std::size_t i = 0; i < count; ++i)
                spec += (i == 0 ? "" : ", ") + row.element;
            const Decoded decoded = decoded_of(gateway_object("HTTPRoute", "v1", spec + row.after));
            EXPECT_EQ(decoded.objects.size(), count == row.most ? 1U : 0U) << row.before << " " << count;
        }
    }
}

}  // namespace
}  // namespace sluice::source
