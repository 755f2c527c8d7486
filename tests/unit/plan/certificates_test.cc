// SPDX-License-Identifier: Apache-2.0
// How listeners find their certificates, and what clients have to show.
#include <gtest/gtest.h>

#include "agent/plan/pem.h"
#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

model::ReferenceGrant secret_grant(const std::string& from_kind, const std::string& to_kind,
                                   std::optional<std::string> name = {})
{
    model::ReferenceGrant result = grant("other", from_kind, "default", std::move(name));
    result.to[0].kind = to_kind;
    return result;
}

// A world with every kind of Secret, good and bad, and an HTTPS listener "web" on port 443.
World tls_world(std::vector<model::ObjectReference> refs)
{
    World world;
    model::Secret no_key = secret("no-key");
    no_key.tls_key.reset();
    model::Secret no_pem = secret("no-pem");
    no_pem.tls_crt = "Hello world\n";
    model::Secret swapped = secret("swapped");
    std::swap(swapped.tls_crt, swapped.tls_key);
    model::Secret encrypted = secret("encrypted");
    encrypted.tls_key = pem("ENCRYPTED PRIVATE KEY");
    model::Secret bad_base64 = secret("bad-base64");
    bad_base64.tls_crt = pem("CERTIFICATE", "TUl!");
    model::Secret cut = secret("cut");
    cut.tls_crt = cut.tls_crt->substr(0, cut.tls_crt->size() - 10);
    model::Secret large_chain = secret("large-chain");
    large_chain.tls_crt = pem_of_size("CERTIFICATE", kPemBytesMax + 1);
    model::Secret large_key = secret("large-key");
    large_key.tls_key = pem_of_size("PRIVATE KEY", kPemBytesMax + 1);
    for (model::Secret one : {secret("cert"), secret("second"), secret("cert", "other"), no_key, no_pem, swapped,
                              encrypted, bad_base64, cut, large_chain, large_key})
        world.add(std::move(one));
    model::Gateway gw = gateway("gw", {tls_listener("web", "HTTPS", 443)});
    gw.listeners[0].tls->certificate_refs = std::move(refs);
    world.add(std::move(gw));
    return world;
}

TEST(Certificates, AListenerServesWithWhatItsReferencesName)
{
    const Plan plan = tls_world({object_ref("Secret", "cert"), object_ref("Secret", "second")}).plan();
    EXPECT_EQ(listener_outcome(plan, "gw", "web", "ResolvedRefs"), "True/ResolvedRefs");
    EXPECT_EQ(listener_outcome(plan, "gw", "web", "Programmed"), "True/Programmed");
    EXPECT_EQ(gateway_outcome(plan, "gw", "Accepted"), "True/Accepted");
    ASSERT_EQ(plan.http.size(), 1U);
    EXPECT_TRUE(plan.http[0].tls);
    ASSERT_TRUE(plan.http[0].listeners.at(0).tls);
    const TlsTermination& tls = *plan.http[0].listeners[0].tls;
    ASSERT_EQ(tls.certificates.size(), 2U);
    EXPECT_EQ(tls.certificates[0].name, "default/cert");
    EXPECT_EQ(tls.certificates[0].chain_pem, pem("CERTIFICATE"));
    EXPECT_EQ(tls.certificates[0].key_pem, pem("PRIVATE KEY"));
    EXPECT_EQ(tls.certificates[1].name, "default/second");
    EXPECT_EQ(tls.client_auth, ClientAuth::None);
}

TEST(Certificates, EachKindOfBadReferenceHasItsReasonAndIsNotServed)
{
    struct Row {
        const char* claim;
        std::vector<model::ObjectReference> refs;
        const char* resolved;
        const char* in_message;
    };
    model::ObjectReference wrong_group = object_ref("Secret", "cert");
    wrong_group.group = "wrong.example.com";
    const Row rows[] = {
        {"none at all", {}, "False/InvalidCertificateRef", "certificateRefs"},
        {"a Secret that is missing", {object_ref("Secret", "gone")}, "False/InvalidCertificateRef", "default/gone"},
        {"another kind", {object_ref("ConfigMap", "cert")}, "False/InvalidCertificateRef", "a core Secret is"},
        {"another group", {wrong_group}, "False/InvalidCertificateRef", "wrong.example.com"},
        {"no key", {object_ref("Secret", "no-key")}, "False/InvalidCertificateRef", "tls.key"},
        {"no PEM", {object_ref("Secret", "no-pem")}, "False/InvalidCertificateRef", "tls.crt"},
        {"chain and key swapped", {object_ref("Secret", "swapped")}, "False/InvalidCertificateRef", "no CERTIFICATE"},
        {"an encrypted key", {object_ref("Secret", "encrypted")}, "False/InvalidCertificateRef", "encrypted"},
        {"no base64 inside", {object_ref("Secret", "bad-base64")}, "False/InvalidCertificateRef", "base64"},
        {"a cut file", {object_ref("Secret", "cut")}, "False/InvalidCertificateRef", "END line"},
        {"a large chain",
         {object_ref("Secret", "large-chain")},
         "False/InvalidCertificateRef",
         "tls.crt: it is larger"},
        {"a large key", {object_ref("Secret", "large-key")}, "False/InvalidCertificateRef", "tls.key: it is larger"},
        {"another namespace", {object_ref("Secret", "cert", "other")}, "False/RefNotPermitted", "ReferenceGrant"},
        {"a missing one in another namespace", {object_ref("Secret", "x", "other")}, "False/RefNotPermitted", "other"},
    };
    for (const Row& row : rows) {
        const Plan plan = tls_world(row.refs).plan();
        EXPECT_EQ(listener_outcome(plan, "gw", "web", "ResolvedRefs"), row.resolved) << row.claim;
        EXPECT_EQ(listener_outcome(plan, "gw", "web", "Accepted"), "True/Accepted") << row.claim;
        EXPECT_EQ(listener_outcome(plan, "gw", "web", "Programmed"), "False/Invalid") << row.claim;
        EXPECT_EQ(gateway_outcome(plan, "gw", "Programmed"), "False/Invalid") << row.claim;
        EXPECT_EQ(listener_of(plan, "gw", "web").supported_kinds.size(), 2U) << row.claim;
        const std::string text = message(listener_of(plan, "gw", "web").conditions, "ResolvedRefs");
        EXPECT_NE(text.find(row.in_message), std::string::npos) << row.claim << ": " << text;
        EXPECT_TRUE(plan.http.empty()) << row.claim;
    }
}

TEST(Certificates, OneGoodReferenceIsEnoughToServe)
{
    const Plan plan = tls_world({object_ref("Secret", "gone"), object_ref("Secret", "cert")}).plan();
    EXPECT_EQ(listener_outcome(plan, "gw", "web", "ResolvedRefs"), "False/InvalidCertificateRef");
    EXPECT_EQ(listener_outcome(plan, "gw", "web", "Programmed"), "True/Programmed");
    EXPECT_EQ(plan.http.at(0).listeners.at(0).tls->certificates.at(0).name, "default/cert");
}

TEST(Certificates, ARepeatedReferenceCountsOnce)
{
    const Plan plan = tls_world({object_ref("Secret", "cert"), object_ref("Secret", "second"),
                                 object_ref("Secret", "cert", "default")})
                          .plan();
    const std::vector<TlsCertificate>& certificates = plan.http.at(0).listeners.at(0).tls->certificates;
    ASSERT_EQ(certificates.size(), 2U);
    EXPECT_EQ(certificates[0].name, "default/cert");
    EXPECT_EQ(certificates[1].name, "default/second");
}

TEST(Certificates, ListenersOfOneSecretHoldItsTextOnce)
{
    World world = tls_world({object_ref("Secret", "cert")});
    world.objects.gateways.edit(0).listeners.push_back(tls_listener("more", "HTTPS", 444));
    const Plan plan = world.plan();
    ASSERT_EQ(plan.http.size(), 2U);
    const TlsCertificate& one = plan.http[0].listeners.at(0).tls->certificates.at(0);
    const TlsCertificate& other = plan.http[1].listeners.at(0).tls->certificates.at(0);
    EXPECT_EQ(place_of(one.chain_pem), place_of(other.chain_pem));
    EXPECT_EQ(place_of(one.key_pem), place_of(other.key_pem));
}

TEST(Certificates, AGrantMustMatchKindNamespaceAndName)
{
    struct Row {
        const char* claim;
        model::ReferenceGrant grant;
        const char* resolved;
    };
    const Row rows[] = {
        {"all Secrets", secret_grant("Gateway", "Secret"), "True/ResolvedRefs"},
        {"this Secret", secret_grant("Gateway", "Secret", "cert"), "True/ResolvedRefs"},
        {"another Secret", secret_grant("Gateway", "Secret", "second"), "False/RefNotPermitted"},
        {"another kind", secret_grant("Gateway", "Service"), "False/RefNotPermitted"},
        {"from routes", secret_grant("HTTPRoute", "Secret"), "False/RefNotPermitted"},
    };
    for (const Row& row : rows) {
        const Plan plan = tls_world({object_ref("Secret", "cert", "other")}).add(row.grant).plan();
        EXPECT_EQ(listener_outcome(plan, "gw", "web", "ResolvedRefs"), row.resolved) << row.claim;
    }
}

TEST(Certificates, RoutesAreCountedOnAListenerWithoutACertificate)
{
    const Plan plan = tls_world({object_ref("Secret", "gone")}).add(http_route("r")).plan();
    EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, 1U);
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "True/Accepted");
}

TEST(Certificates, NoMessageQuotesASecret)
{
    World world = tls_world({object_ref("Secret", "leaky")});
    model::Secret leaky = secret("leaky");
    leaky.tls_key = "-----BEGIN PRIVATE KEY-----\nhunter2!\n-----END PRIVATE KEY-----\n";
    const Plan plan = world.add(leaky).plan();
    for (const auto& status : plan.statuses)
        for (const model::ListenerStatus& listener : status->listeners)
            for (const model::Condition& condition : listener.conditions)
                EXPECT_EQ(condition.message.find("hunter2"), std::string::npos) << condition.message;
}

model::ClientValidation validation(std::vector<model::ObjectReference> refs, bool fallback = false)
{
    using Mode = model::ClientValidation::Mode;
    return {fallback ? Mode::AllowInsecureFallback : Mode::AllowValidOnly, std::move(refs)};
}

World client_world(model::GatewayTls tls)
{
    World world;
    model::Gateway gw = gateway(
        "gw", {tls_listener("web", "HTTPS", 443), listener("plain", "HTTP", 80), tls_listener("raw", "TLS", 8443)});
    gw.tls = std::move(tls);
    world.add(std::move(gw)).add(secret("cert")).add(config_map("ca")).add(config_map("empty", "default", ""));
    world.add(config_map("no-ca", "default", std::nullopt)).add(config_map("ca", "other"));
    world.add(config_map("full", "default", pem_of_size("CERTIFICATE", kPemBytesMax)));
    world.add(config_map("large", "default", pem_of_size("CERTIFICATE", kPemBytesMax + 1)));
    return world;
}

const HttpListener* find_listener(const Plan& plan, const std::string& name)
{
    for (const HttpPort& port : plan.http)
        for (const HttpListener& one : port.listeners)
            if (one.name == name)
                return &one;
    return nullptr;
}

TEST(ClientValidation, DefaultAppliesToHttpsListenersUnlessTheirPortHasItsOwn)
{
    struct Row {
        const char* claim;
        std::optional<model::ClientValidation> everywhere;
        std::map<std::uint16_t, std::optional<model::ClientValidation>> of_port;
        ClientAuth expected;
    };
    const auto strict = validation({object_ref("ConfigMap", "ca")});
    const auto fallback = validation({object_ref("ConfigMap", "ca")}, true);
    const Row rows[] = {
        {"none", {}, {}, ClientAuth::None},
        {"default", strict, {}, ClientAuth::Required},
        {"default that falls back", fallback, {}, ClientAuth::Optional},
        {"the port's own", fallback, {{443, strict}}, ClientAuth::Required},
        {"the port has none", strict, {{443, std::nullopt}}, ClientAuth::None},
        {"another port's", strict, {{444, fallback}}, ClientAuth::Required},
    };
    for (const Row& row : rows) {
        const Plan plan = client_world({row.everywhere, row.of_port, {}}).plan();
        const HttpListener* web = find_listener(plan, "default/gw/web");
        ASSERT_NE(web, nullptr) << row.claim;
        EXPECT_EQ(web->tls->client_auth, row.expected) << row.claim;
        EXPECT_EQ(web->tls->client_ca_pem, row.expected == ClientAuth::None ? "" : pem("CERTIFICATE")) << row.claim;
        EXPECT_EQ(plan.tls.at(0).hosts.at(0).termination->client_auth, ClientAuth::None) << row.claim;
    }
}

TEST(ClientValidation, WithoutAValidAuthorityTheHttpsListenerAloneIsNotServed)
{
    struct Row {
        const char* claim;
        std::vector<model::ObjectReference> refs;
        const char* resolved;
        const char* accepted;
    };
    const Row rows[] = {
        {"missing", {object_ref("ConfigMap", "gone")}, "False/InvalidCACertificateRef", "False/NoValidCACertificate"},
        {"empty", {object_ref("ConfigMap", "empty")}, "False/InvalidCACertificateRef", "False/NoValidCACertificate"},
        {"no key", {object_ref("ConfigMap", "no-ca")}, "False/InvalidCACertificateRef", "False/NoValidCACertificate"},
        {"kind", {object_ref("Service", "ca")}, "False/InvalidCACertificateKind", "False/NoValidCACertificate"},
        {"grant", {object_ref("ConfigMap", "ca", "other")}, "False/RefNotPermitted", "False/NoValidCACertificate"},
        {"large", {object_ref("ConfigMap", "large")}, "False/InvalidCACertificateRef", "False/NoValidCACertificate"},
        {"one of two",
         {object_ref("ConfigMap", "gone"), object_ref("ConfigMap", "ca")},
         "False/InvalidCACertificateRef",
         "True/Accepted"},
    };
    for (const Row& row : rows) {
        const Plan plan = client_world({validation(row.refs), {}, {}}).plan();
        const bool served = std::string_view(row.accepted).starts_with("True");
        EXPECT_EQ(listener_outcome(plan, "gw", "web", "ResolvedRefs"), row.resolved) << row.claim;
        EXPECT_EQ(listener_outcome(plan, "gw", "web", "Accepted"), row.accepted) << row.claim;
        EXPECT_EQ(listener_outcome(plan, "gw", "web", "Programmed"), served ? "True/Programmed" : "False/Invalid");
        EXPECT_EQ(find_listener(plan, "default/gw/web") != nullptr, served) << row.claim;
        for (const char* other : {"plain", "raw"})
            for (const char* type : {"Accepted", "Programmed", "ResolvedRefs"})
                EXPECT_EQ(listener_outcome(plan, "gw", other, type), std::string("True/") + type) << row.claim;
    }
}

TEST(ClientValidation, ARepeatedAuthorityCountsOnceAndAllTogetherHaveABound)
{
    struct Row {
        const char* claim;
        std::vector<const char*> config_maps;
        std::size_t size;
        const char* in_message;
    };
    const std::size_t small = pem("CERTIFICATE").size();
    const Row rows[] = {
        {"twice", {"ca", "ca"}, small, ""},
        {"as large as may be, twice", {"full", "full"}, kPemBytesMax, ""},
        {"one that leaves no room", {"full", "ca"}, kPemBytesMax, "[1]: ConfigMap default/ca: ca.crt: with those"},
        {"one that finds no room", {"ca", "full"}, small, "[1]: ConfigMap default/full: ca.crt: with those"},
        {"one that is large alone", {"ca", "large"}, small, "[1]: ConfigMap default/large: ca.crt: it is larger than"},
        {"one behind that", {"ca", "full", "ca-2"}, 2 * small, "[1]: ConfigMap default/full: ca.crt: with those"},
    };
    for (const Row& row : rows) {
        std::vector<model::ObjectReference> refs;
        for (const char* name : row.config_maps)
            refs.push_back(object_ref("ConfigMap", name));
        const Plan plan = client_world({validation(refs), {}, {}}).add(config_map("ca-2")).plan();
        const HttpListener* web = find_listener(plan, "default/gw/web");
        ASSERT_NE(web, nullptr) << row.claim;
        const std::string& authorities = web->tls->client_ca_pem;
        EXPECT_EQ(authorities.size(), row.size) << row.claim;
        const std::string text = message(listener_of(plan, "gw", "web").conditions, "ResolvedRefs");
        EXPECT_EQ(text.empty(), std::string_view(row.in_message).empty()) << row.claim << ": " << text;
        EXPECT_NE(text.find(row.in_message), std::string::npos) << row.claim << ": " << text;
    }
}

TEST(ClientValidation, FallingBackIsShownOnTheGatewayAsLongAsItIsSet)
{
    const auto strict = validation({object_ref("ConfigMap", "ca")});
    const auto fallback = validation({object_ref("ConfigMap", "ca")}, true);
    const char* type = "InsecureFrontendValidationMode";
    EXPECT_EQ(gateway_outcome(client_world({fallback, {}, {}}).plan(), "gw", type), "True/ConfigurationChanged");
    EXPECT_EQ(gateway_outcome(client_world({strict, {{443, fallback}}, {}}).plan(), "gw", type),
              "True/ConfigurationChanged");
    EXPECT_EQ(gateway_outcome(client_world({strict, {}, {}}).plan(), "gw", type), "none");
}

TEST(BackendCertificate, ABadReferenceIsTheGatewaysOwnAffair)
{
    struct Row {
        const char* claim;
        model::ObjectReference ref;
        const char* resolved;
    };
    const Row rows[] = {
        {"good", object_ref("Secret", "cert"), "True/ResolvedRefs"},
        {"missing", object_ref("Secret", "gone"), "False/InvalidClientCertificateRef"},
        {"another kind", object_ref("ConfigMap", "ca"), "False/InvalidClientCertificateRef"},
        {"another namespace", object_ref("Secret", "cert", "other"), "False/RefNotPermitted"},
    };
    for (const Row& row : rows) {
        const Plan plan = client_world({{}, {}, row.ref}).plan();
        EXPECT_EQ(gateway_outcome(plan, "gw", "ResolvedRefs"), row.resolved) << row.claim;
        EXPECT_EQ(gateway_outcome(plan, "gw", "Accepted"), "True/Accepted") << row.claim;
        EXPECT_EQ(gateway_outcome(plan, "gw", "Programmed"), "True/Programmed") << row.claim;
    }
}

TEST(Plan, EqualInputWithCertificatesGivesEqualPorts)
{
    World world = client_world({validation({object_ref("ConfigMap", "ca")}), {}, {}});
    const Plan first = world.plan();
    EXPECT_EQ(first.http, world.plan().http);
    EXPECT_EQ(first.tls, world.plan().tls);
    world.objects.secrets.edit(0).tls_crt = pem("CERTIFICATE", "TUlJQw==");
    EXPECT_NE(first.http, world.plan().http);
    EXPECT_NE(first.tls, world.plan().tls);
}

}  // namespace
}  // namespace sluice::plan::test
