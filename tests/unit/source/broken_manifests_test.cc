// SPDX-License-Identifier: Apache-2.0
// Every manifest of broken/ is refused with a problem that names the file, the object as far as it can be read, and the
// field; a good object beside it still decodes.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "agent/source/decode.h"
#include "tests/unit/source/folder.h"

namespace sluice::source {
namespace {

struct Row {
    const char* file;
    const char* object;
    const char* field;
};

constexpr Row kRows[] = {
    {"01-path-type-prefix.yaml", "HTTPRoute default/broken", "spec.rules[0].matches[0].path.type"},
    {"02-path-type-unknown.yaml", "HTTPRoute default/broken", "spec.rules[0].matches[0].path.type"},
    {"03-path-without-slash.yaml", "HTTPRoute default/broken", "spec.rules[0].matches[0].path.value"},
    {"04-path-with-dot-dot.yaml", "HTTPRoute default/broken", "spec.rules[0].matches[0].path.value"},
    {"05-path-with-encoded-slash.yaml", "HTTPRoute default/broken", "spec.rules[0].matches[0].path.value"},
    {"06-method-unknown.yaml", "HTTPRoute default/broken", "spec.rules[0].matches[0].method"},
    {"07-header-name-not-a-token.yaml", "HTTPRoute default/broken", "spec.rules[0].matches[0].headers[0].name"},
    {"08-header-without-value.yaml", "HTTPRoute default/broken", "spec.rules[0].matches[0].headers[0].value"},
    {"09-hostname-is-an-address.yaml", "HTTPRoute default/broken", "spec.hostnames[0]"},
    {"10-hostname-wildcard-inside.yaml", "HTTPRoute default/broken", "spec.hostnames[0]"},
    {"11-hostname-upper-case.yaml", "HTTPRoute default/broken", "spec.hostnames[0]"},
    {"12-seventeen-rules.yaml", "HTTPRoute default/broken", "spec.rules"},
    {"13-rules-not-a-list.yaml", "HTTPRoute default/broken", "spec.rules"},
    {"14-backend-without-port.yaml", "HTTPRoute default/broken", "spec.rules[0].backendRefs[0].port"},
    {"15-backend-port-zero.yaml", "HTTPRoute default/broken", "spec.rules[0].backendRefs[0].port"},
    {"16-backend-port-too-high.yaml", "HTTPRoute default/broken", "spec.rules[0].backendRefs[0].port"},
    {"17-backend-port-quoted.yaml", "HTTPRoute default/broken", "spec.rules[0].backendRefs[0].port"},
    {"18-weight-negative.yaml", "HTTPRoute default/broken", "spec.rules[0].backendRefs[0].weight"},
    {"19-weight-too-high.yaml", "HTTPRoute default/broken", "spec.rules[0].backendRefs[0].weight"},
    {"20-timeout-without-unit.yaml", "HTTPRoute default/broken", "spec.rules[0].timeouts.request"},
    {"21-backend-timeout-longer.yaml", "HTTPRoute default/broken", "spec.rules[0].timeouts.backendRequest"},
    {"22-filter-type-unknown.yaml", "HTTPRoute default/broken", "spec.rules[0].filters[0].type"},
    {"23-parent-given-twice.yaml", "HTTPRoute default/broken", "spec.parentRefs[1]"},
    {"24-name-missing.yaml", "HTTPRoute", "metadata.name"},
    {"25-name-upper-case.yaml", "HTTPRoute default/Broken", "metadata.name"},
    {"26-name-is-a-number.yaml", "HTTPRoute default/12", "metadata.name"},
    {"27-name-not-a-string.yaml", "HTTPRoute", "metadata.name"},
    {"28-kind-missing.yaml", " default/broken", "kind"},
    {"29-version-that-tcproute-lacks.yaml", "TCPRoute default/broken", "apiVersion"},
    {"30-tcproute-two-rules.yaml", "TCPRoute default/broken", "spec.rules"},
    {"31-udproute-without-rules.yaml", "UDPRoute default/broken", "spec.rules"},
    {"32-field-given-twice.yaml", "HTTPRoute default/broken", "spec.hostnames"},
    {"33-listener-port-missing.yaml", "Gateway default/broken", "spec.listeners[0].port"},
    {"34-listener-port-a-word.yaml", "Gateway default/broken", "spec.listeners[0].port"},
    {"35-listener-names-equal.yaml", "Gateway default/broken", "spec.listeners[1]"},
    {"36-listener-combination-equal.yaml", "Gateway default/broken", "spec.listeners[1]"},
    {"37-listeners-empty.yaml", "Gateway default/broken", "spec.listeners"},
    {"38-tcp-listener-with-hostname.yaml", "Gateway default/broken", "spec.listeners[0].hostname"},
    {"39-http-listener-with-tls.yaml", "Gateway default/broken", "spec.listeners[0].tls"},
    {"40-from-unknown.yaml", "Gateway default/broken", "spec.listeners[0].allowedRoutes.namespaces.from"},
    {"41-from-selector-without-one.yaml", "Gateway default/broken",
     "spec.listeners[0].allowedRoutes.namespaces.selector"},
    {"42-gateway-address-not-one.yaml", "Gateway default/broken", "spec.addresses[0].value"},
    {"43-controller-name-without-domain.yaml", "GatewayClass broken", "spec.controllerName"},
    {"44-spec-missing.yaml", "Gateway default/broken", "spec"},
    {"45-grant-without-from.yaml", "ReferenceGrant default/broken", "spec.from"},
    {"46-service-ports-without-names.yaml", "Service default/broken", "spec.ports[1]"},
    {"47-endpoint-loopback.yaml", "EndpointSlice default/broken", "endpoints[0].addresses[0]"},
    {"48-endpoint-link-local.yaml", "EndpointSlice default/broken", "endpoints[0].addresses[0]"},
    {"49-endpoint-multicast.yaml", "EndpointSlice default/broken", "endpoints[0].addresses[0]"},
    {"50-endpoint-unspecified.yaml", "EndpointSlice default/broken", "endpoints[0].addresses[0]"},
    {"51-endpoint-wrong-family.yaml", "EndpointSlice default/broken", "endpoints[0].addresses[0]"},
    {"52-endpoint-not-an-address.yaml", "EndpointSlice default/broken", "endpoints[0].addresses[0]"},
    {"53-tab-indentation.yaml", "", ""},
    {"54-bracket-left-open.yaml", "", ""},
    {"55-invalid-utf8.yaml", "", ""},
    {"56-utf16.yaml", "", ""},
    {"57-end-of-input-character.yaml", "", ""},
    {"58-nul-byte.yaml", "", ""},
    {"59-deep-brackets.yaml", "", ""},
    {"60-deep-dashes.yaml", "", ""},
    {"61-deep-indentation.yaml", "", ""},
    {"62-alias-bomb.yaml", "", ""},
    {"63-alias-of-itself.yaml", "", ""},
    {"64-custom-tag.yaml", "", ""},
    {"65-only-a-word.yaml", "", ""},
    {"66-two-values.yaml", "", ""},
    {"67-tls-listener-without-tls.yaml", "Gateway default/broken", "spec.listeners[0].tls"},
    {"68-tls-without-certificate.yaml", "Gateway default/broken", "spec.listeners[0].tls.certificateRefs"},
    {"69-https-passthrough.yaml", "Gateway default/broken", "spec.listeners[0].tls.mode"},
    {"70-tls-mode-unknown.yaml", "Gateway default/broken", "spec.listeners[0].tls.mode"},
    {"71-certificate-ref-without-name.yaml", "Gateway default/broken", "spec.listeners[0].tls.certificateRefs[0].name"},
    {"72-client-validation-without-ca.yaml", "Gateway default/broken",
     "spec.tls.frontend.default.validation.caCertificateRefs"},
    {"73-client-validation-mode-unknown.yaml", "Gateway default/broken", "spec.tls.frontend.default.validation.mode"},
    {"74-client-validation-default-missing.yaml", "Gateway default/broken", "spec.tls.frontend.default"},
    {"75-client-validation-port-twice.yaml", "Gateway default/broken", "spec.tls.frontend.perPort[1].port"},
    {"76-client-ca-without-group.yaml", "Gateway default/broken",
     "spec.tls.frontend.default.validation.caCertificateRefs[0].group"},
    {"77-secret-not-base64.yaml", "Secret default/broken", "data[tls.crt]"},
    {"78-secret-without-key.yaml", "Secret default/broken", "data"},
    {"79-secret-data-a-word.yaml", "Secret default/broken", "data"},
    {"80-secret-string-a-number.yaml", "Secret default/broken", "stringData[tls.key]"},
    {"81-secret-version-unknown.yaml", "Secret default/broken", "apiVersion"},
    {"82-config-map-binary-not-base64.yaml", "ConfigMap default/broken", "binaryData[ca.crt]"},
    {"83-grpc-method-empty.yaml", "GRPCRoute default/broken", "spec.rules[0].matches[0].method"},
    {"84-grpc-service-with-slash.yaml", "GRPCRoute default/broken", "spec.rules[0].matches[0].method.service"},
    {"85-grpc-method-with-dot.yaml", "GRPCRoute default/broken", "spec.rules[0].matches[0].method.method"},
    {"86-grpc-method-type-unknown.yaml", "GRPCRoute default/broken", "spec.rules[0].matches[0].method.type"},
    {"87-grpc-filter-of-http.yaml", "GRPCRoute default/broken", "spec.rules[0].filters[0].type"},
    {"88-grpc-backend-without-port.yaml", "GRPCRoute default/broken", "spec.rules[0].backendRefs[0].port"},
    {"89-grpcroute-version-v1beta1.yaml", "GRPCRoute default/broken", "apiVersion"},
    {"90-tlsroute-without-hostnames.yaml", "TLSRoute default/broken", "spec.hostnames"},
    {"91-tlsroute-hostname-an-address.yaml", "TLSRoute default/broken", "spec.hostnames[0]"},
    {"92-tlsroute-two-rules.yaml", "TLSRoute default/broken", "spec.rules"},
    {"93-policy-without-target.yaml", "BackendTLSPolicy default/broken", "spec.targetRefs"},
    {"94-policy-target-twice.yaml", "BackendTLSPolicy default/broken", "spec.targetRefs[1]"},
    {"95-policy-without-ca.yaml", "BackendTLSPolicy default/broken", "spec.validation.caCertificateRefs"},
    {"96-policy-two-kinds-of-ca.yaml", "BackendTLSPolicy default/broken", "spec.validation.wellKnownCACertificates"},
    {"97-policy-hostname-wildcard.yaml", "BackendTLSPolicy default/broken", "spec.validation.hostname"},
    {"98-policy-san-of-another-type.yaml", "BackendTLSPolicy default/broken",
     "spec.validation.subjectAltNames[0].hostname"},
    {"99-policy-san-not-absolute.yaml", "BackendTLSPolicy default/broken", "spec.validation.subjectAltNames[0].uri"},
    {"a1-modifier-value-with-line-end.yaml", "HTTPRoute default/broken",
     "spec.rules[0].filters[0].requestHeaderModifier.set[0].value"},
    {"a2-redirect-prefix-without-slash.yaml", "HTTPRoute default/broken",
     "spec.rules[0].filters[0].requestRedirect.path.replacePrefixMatch"},
};

constexpr const char* kFolder = "tests/unit/source/broken/";
constexpr const char* kGood = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: good}\n"
                              "spec: {controllerName: sluice.dev/node-gateway}\n";

class BrokenManifest : public testing::TestWithParam<Row> {};

TEST_P(BrokenManifest, IsRefusedByFileObjectAndField)
{
    const Row row = GetParam();
    const std::string path = kFolder + std::string(row.file);
    const Decoded decoded = decode(file_text(path), path);
    EXPECT_TRUE(decoded.objects.empty());
    const auto problem = std::ranges::find_if(decoded.problems, &Problem::fatal);
    ASSERT_NE(problem, decoded.problems.end());
    EXPECT_EQ(problem->file, path);
    EXPECT_GT(problem->line, 0);
    EXPECT_EQ(problem->object, row.object) << to_string(*problem);
    EXPECT_EQ(problem->field, row.field) << to_string(*problem);
    EXPECT_FALSE(problem->message.empty());
    EXPECT_LE(problem->value.size(), 80U);
    // One mistake, one error.
    EXPECT_EQ(std::ranges::count_if(decoded.problems, &Problem::fatal), 1) << to_string(decoded.problems.back());
}

TEST_P(BrokenManifest, LeavesAGoodObjectBesideItAlone)
{
    const Folder folder;
    std::filesystem::copy_file(kFolder + std::string(GetParam().file), folder.path() + "/broken.yaml");
    folder.write("good.yaml", kGood);
    const Snapshot snapshot = read_manifests({folder.path()});
    ASSERT_EQ(snapshot.objects.gateway_classes.size(), 1U);
    EXPECT_EQ(snapshot.objects.gateway_classes[0].meta.name, "good");
    EXPECT_FALSE(snapshot.problems.empty());
}

INSTANTIATE_TEST_SUITE_P(Corpus, BrokenManifest, testing::ValuesIn(kRows), [](const auto& each) {
    std::string name = each.param.file;
    std::ranges::replace_if(name, [](char c) { return c == '-' || c == '.'; }, '_');
    return name;
});

TEST(BrokenManifests, EachFileOfTheFolderHasARow)
{
    for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
        const std::string name = entry.path().filename();
        EXPECT_TRUE(std::ranges::any_of(kRows, [&](const Row& row) { return row.file == name; })) << name;
    }
}

TEST(BrokenManifests, AFileOfFiveMegabytesGetsOneError)
{
    const Folder folder;
    folder.write("big.yaml", kGood + ("#" + std::string(5U << 20, 'x')));
    folder.write("good.yaml", kGood);
    const Snapshot snapshot = read_manifests({folder.path()});
    ASSERT_EQ(snapshot.problems.size(), 1U);
    EXPECT_EQ(snapshot.problems[0].file, folder.path() + "/big.yaml");
    EXPECT_NE(snapshot.problems[0].message.find("4194304"), std::string::npos);
    EXPECT_EQ(snapshot.objects.gateway_classes.size(), 1U);
}

TEST(BrokenManifests, TwoOfOneNameNameEachOther)
{
    const Folder folder;
    folder.write("a.yaml", kGood);
    folder.write("b.yaml", "# one line lower\n" + std::string(kGood));
    const Snapshot snapshot = read_manifests({folder.path()});
    ASSERT_EQ(snapshot.problems.size(), 1U);
    EXPECT_EQ(to_string(snapshot.problems[0]), folder.path() +
                                                   "/b.yaml:2: GatewayClass good: metadata.name: \"good\": " +
                                                   "the object is already given in " + folder.path() + "/a.yaml:1");
    EXPECT_EQ(snapshot.objects.gateway_classes.size(), 1U);
}

TEST(BrokenManifests, PrefixIsRefusedWithTheNameThatIsMeant)
{
    const std::string path = kFolder + std::string("01-path-type-prefix.yaml");
    const Decoded decoded = decode(file_text(path), path);
    ASSERT_EQ(decoded.problems.size(), 1U);
    EXPECT_EQ(to_string(decoded.problems[0]),
              path +
                  ":11: HTTPRoute default/broken: spec.rules[0].matches[0].path.type: \"Prefix\": the API knows only "
                  "Exact, PathPrefix and RegularExpression; PathPrefix is meant");
}

TEST(BrokenManifests, NoErrorShowsWhatASecretHolds)
{
    constexpr const char* kBodies[] = {
        "data: {tls.crt: hunter2!, tls.key: hunter2!}",
        "data: hunter2",
        "data: [hunter2]",
        "stringData: {tls.crt: {hunter2: 1}, tls.key: 1}",
        "stringData: hunter2",
        "type: 1\ndata: {a: [hunter2, hunter2]}",
        "metadata: {name: x}\nimmutable: hunter2\ndata: {a: hunter2!}",
    };
    for (const char* version : {"v1", "v2"}) {
        for (const char* body : kBodies) {
            const std::string text =
                "apiVersion: " + std::string(version) + "\nkind: Secret\nmetadata: {name: x}\n" + body + "\n";
            for (const Problem& problem : decode(text, "f").problems)
                EXPECT_EQ((problem.value + problem.message).find("hunter2"), std::string::npos) << to_string(problem);
        }
    }
}

TEST(BrokenManifests, ABrokenDocumentCostsItsNeighboursNothing)
{
    const std::string text = std::string("a: [\n---\n") + kGood + "---\n\tx: y\n";
    const Decoded decoded = decode(text, "f");
    EXPECT_EQ(decoded.objects.size(), 1U);
    EXPECT_EQ(decoded.problems.size(), 2U);
    EXPECT_FALSE(decoded.complete);
}

}  // namespace
}  // namespace sluice::source
