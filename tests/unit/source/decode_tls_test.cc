// SPDX-License-Identifier: Apache-2.0
// The decoder on good TLS and gRPC objects: every field, its default, and what is dropped.
#include <gtest/gtest.h>

#include "agent/source/decode.h"

namespace sluice::source {
namespace {

template <class T> T only(const std::string& text)
{
    const Decoded decoded = decode(text, "f.yaml");
    for (const Problem& problem : decoded.problems)
        ADD_FAILURE() << to_string(problem);
    if (decoded.objects.size() != 1 || !std::holds_alternative<T>(decoded.objects[0].object)) {
        ADD_FAILURE() << "not one " << T::kKind << ": " << text;
        return {};
    }
    return std::get<T>(decoded.objects[0].object);
}

std::string gateway_api(const std::string& kind, const std::string& spec, const std::string& version = "v1")
{
    return "apiVersion: gateway.networking.k8s.io/" + version + "\nkind: " + kind +
           "\nmetadata: {name: x}\nspec: " + spec + "\n";
}

std::string core(const std::string& kind, const std::string& rest)
{
    return "apiVersion: v1\nkind: " + kind + "\nmetadata: {name: x, annotations: {a: b}}\n" + rest + "\n";
}

TEST(DecodeTls, ASecretIsReadFromBase64OrPlainText)
{
    struct Row {
        const char* claim;
        const char* rest;
        std::optional<std::string> crt;
        std::optional<std::string> key;
    };
    const Row rows[] = {
        {"base64", "type: kubernetes.io/tls\ndata: {tls.crt: Y2hhaW4=, tls.key: a2V5}", "chain", "key"},
        {"base64 over lines", "type: kubernetes.io/tls\ndata:\n  tls.key: a2V5\n  tls.crt: |\n    Y2hh\n    aW4=\n",
         "chain", "key"},
        {"plain text", "type: kubernetes.io/tls\nstringData: {tls.crt: chain, tls.key: key}", "chain", "key"},
        {"plain text comes first", "data: {tls.crt: Y2hhaW4=}\nstringData: {tls.crt: other}", "other", {}},
        {"another type needs no key", "type: example.com/x\ndata: {token: AAAA}", {}, {}},
        {"empty values", "type: kubernetes.io/tls\ndata: {tls.crt: '', tls.key: ''}", "", ""},
        {"nothing at all", "immutable: true", {}, {}},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.claim);
        const auto secret = only<model::Secret>(core("Secret", row.rest));
        EXPECT_EQ(secret.tls_crt, row.crt);
        EXPECT_EQ(secret.tls_key, row.key);
        EXPECT_TRUE(secret.meta.annotations.empty());
    }
}

TEST(DecodeTls, AConfigMapKeepsItsAuthorityAlone)
{
    EXPECT_EQ(only<model::ConfigMap>(core("ConfigMap", "data: {ca.crt: pem, other: x}")).ca_crt, "pem");
    EXPECT_EQ(only<model::ConfigMap>(core("ConfigMap", "binaryData: {ca.crt: cGVt}")).ca_crt, "pem");
    EXPECT_EQ(only<model::ConfigMap>(core("ConfigMap", "data: {other: x}")).ca_crt, std::nullopt);
}

TEST(DecodeTls, AListenerSaysHowItEndsTls)
{
    using Mode = model::ListenerTls::Mode;
    const auto gateway = only<model::Gateway>(gateway_api(
        "Gateway",
        "{gatewayClassName: c, listeners: [{name: a, port: 1, protocol: HTTPS, tls: {certificateRefs: "
        "[{name: one}, {group: g.example, kind: K, name: two, namespace: n}]}}, {name: b, port: 2, protocol: "
        "TLS, tls: {mode: Passthrough}}, {name: c, port: 3, protocol: HTTP}, {name: d, port: 4, protocol: "
        "HTTPS}]}"));
    ASSERT_EQ(gateway.listeners.size(), 4U);
    ASSERT_TRUE(gateway.listeners[0].tls);
    EXPECT_EQ(gateway.listeners[0].tls->mode, Mode::Terminate);
    const auto& refs = gateway.listeners[0].tls->certificate_refs;
    ASSERT_EQ(refs.size(), 2U);
    EXPECT_EQ(refs[0].group + "/" + refs[0].kind + "/" + refs[0].name, "/Secret/one");
    EXPECT_FALSE(refs[0].ns);
    EXPECT_EQ(refs[1].group + "/" + refs[1].kind + "/" + refs[1].name, "g.example/K/two");
    EXPECT_EQ(refs[1].ns, "n");
    EXPECT_EQ(gateway.listeners[1].tls->mode, Mode::Passthrough);
    EXPECT_FALSE(gateway.listeners[2].tls);
    EXPECT_FALSE(gateway.listeners[3].tls);
}

TEST(DecodeTls, AGatewaySaysWhoseCertificatesItTrustsAndShows)
{
    using Mode = model::ClientValidation::Mode;
    const auto gateway = only<model::Gateway>(gateway_api(
        "Gateway",
        "{gatewayClassName: c, listeners: [{name: a, port: 1, protocol: HTTP}], tls: {backend: {clientCertificateRef: "
        "{name: mine}}, frontend: {default: {validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: ca, "
        "namespace: n}]}}, perPort: [{port: 8443, tls: {}}, {port: 443, tls: {validation: {mode: "
        "AllowInsecureFallback, caCertificateRefs: [{group: '', kind: ConfigMap, name: other}]}}}]}}}"));
    ASSERT_TRUE(gateway.tls.backend_certificate_ref);
    EXPECT_EQ(gateway.tls.backend_certificate_ref->name, "mine");
    ASSERT_TRUE(gateway.tls.client_validation);
    EXPECT_EQ(gateway.tls.client_validation->mode, Mode::AllowValidOnly);
    EXPECT_EQ(gateway.tls.client_validation->ca_refs.at(0).ns, "n");
    ASSERT_EQ(gateway.tls.client_validation_of_port.size(), 2U);
    EXPECT_FALSE(gateway.tls.client_validation_of_port.at(8443));
    EXPECT_EQ(gateway.tls.client_validation_of_port.at(443)->mode, Mode::AllowInsecureFallback);
}

TEST(DecodeTls, APolicyNamesItsTargetsAndWhomItTrusts)
{
    const auto policy = only<model::BackendTlsPolicy>(gateway_api(
        "BackendTLSPolicy",
        "{targetRefs: [{group: '', kind: Service, name: a, sectionName: p}, {group: '', kind: Service, name: b}], "
        "validation: {hostname: h.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}], "
        "subjectAltNames: "
        "[{type: Hostname, hostname: '*.h.example'}, {type: URI, uri: 'spiffe://h.example/x'}]}}"));
    ASSERT_EQ(policy.targets.size(), 2U);
    EXPECT_EQ(policy.targets[0].section_name, "p");
    EXPECT_FALSE(policy.targets[1].section_name);
    EXPECT_EQ(policy.ca_refs.at(0).kind, "ConfigMap");
    EXPECT_EQ(policy.hostname, "h.example");
    EXPECT_EQ(policy.dns_sans, std::vector<std::string>{"*.h.example"});
    EXPECT_EQ(policy.uri_sans, std::vector<std::string>{"spiffe://h.example/x"});
}

TEST(DecodeGrpc, MatchesHaveTheApisDefaults)
{
    const auto route = only<model::GrpcRoute>(gateway_api(
        "GRPCRoute", "{parentRefs: [{name: g}], hostnames: [a.example], rules: [{name: n, matches: [{method: {service: "
                     "a.B, method: C}}, {method: {type: RegularExpression, method: '.*'}, headers: [{name: v, value: "
                     "two}]}, {}], backendRefs: [{name: w, port: 1, weight: 3}]}, {}]}"));
    ASSERT_EQ(route.rules.size(), 2U);
    const auto& matches = route.rules[0].matches;
    ASSERT_EQ(matches.size(), 3U);
    EXPECT_EQ(matches[0].method, (model::GrpcMethodMatch{model::ValueMatchType::Exact, "a.B", "C"}));
    EXPECT_EQ(matches[1].method, (model::GrpcMethodMatch{model::ValueMatchType::RegularExpression, "", ".*"}));
    EXPECT_EQ(matches[1].headers.at(0).value, "two");
    EXPECT_EQ(matches[2].method, model::GrpcMethodMatch{});
    EXPECT_EQ(route.rules[0].backend_refs.at(0).weight, 3U);
    EXPECT_EQ(route.rules[1].matches.size(), 1U);
    EXPECT_EQ(only<model::GrpcRoute>(gateway_api("GRPCRoute", "{}")).rules.size(), 1U);
}

TEST(DecodeTls, OnlyOldTlsRoutesMayLeaveTheirNamesOut)
{
    const std::string spec = "{rules: [{name: n, backendRefs: [{name: a, port: 1}]}]}";
    for (const char* version : {"v1alpha2", "v1alpha3"}) {
        const auto route = only<model::TlsRoute>(gateway_api("TLSRoute", spec, version));
        EXPECT_TRUE(route.hostnames.empty());
        EXPECT_EQ(route.rule_name, "n");
        EXPECT_EQ(route.backend_refs.size(), 1U);
    }
    EXPECT_FALSE(decode(gateway_api("TLSRoute", spec), "f").refused.empty());
}

}  // namespace
}  // namespace sluice::source
