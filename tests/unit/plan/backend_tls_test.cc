// SPDX-License-Identifier: Apache-2.0
// BackendTLSPolicies: which backend they reach, what they say to it, and their status.
#include <gtest/gtest.h>

#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

World policy_world()
{
    World world;
    world.add(gateway("gw", {listener("web", "HTTP", 80)})).add(http_route("r"));
    world.add(service("web")).add(slice("web", {endpoint("192.0.2.10")}));
    world.add(config_map("ca")).add(config_map("empty", "default", "")).add(secret("client"));
    return world;
}

const Backend& first_backend(const Plan& plan) { return plan.http.at(0).listeners.at(0).rules.at(0)->backends.at(0); }

TEST(BackendTlsPolicy, TellsHowItsServiceIsSpokenTo)
{
    model::BackendTlsPolicy policy = tls_policy("p", "web");
    policy.dns_sans = {"*.example.com"};
    policy.uri_sans = {"spiffe://example.com/web"};
    const Plan plan = policy_world().add(policy).plan();
    EXPECT_EQ(policy_outcome(plan, "p", "Accepted"), "True/Accepted");
    EXPECT_EQ(policy_outcome(plan, "p", "ResolvedRefs"), "True/ResolvedRefs");
    const Backend& backend = first_backend(plan);
    ASSERT_TRUE(backend.tls);
    EXPECT_EQ(backend.tls->hostname, "backend.example.com");
    EXPECT_EQ(backend.tls->ca_pem, pem("CERTIFICATE"));
    EXPECT_FALSE(backend.tls->system_ca);
    EXPECT_EQ(backend.tls->dns_sans, policy.dns_sans);
    EXPECT_EQ(backend.tls->uri_sans, policy.uri_sans);
    EXPECT_FALSE(backend.tls->client_certificate);
    EXPECT_EQ(backend.endpoints.size(), 1U);
}

TEST(BackendTlsPolicy, WithoutAGatewayOfOursItIsOneOfOthers)
{
    World world = policy_world();
    world.add(tls_policy("p", "unused")).add(service("unused"));
    const Plan plan = world.plan();
    EXPECT_EQ(find_status(plan, "BackendTLSPolicy", "p"), nullptr);
    EXPECT_EQ(plan.others, (std::vector<model::ObjectKey>{{"BackendTLSPolicy", "default", "p"}}));
}

TEST(BackendTlsPolicy, MayTrustTheSystemsAuthorities)
{
    model::BackendTlsPolicy policy = tls_policy("p", "web");
    policy.ca_refs.clear();
    policy.well_known_ca = "System";
    const Plan plan = policy_world().add(policy).plan();
    EXPECT_TRUE(first_backend(plan).tls->system_ca);
    EXPECT_EQ(first_backend(plan).tls->ca_pem, "");
}

TEST(BackendTlsPolicy, WithoutAValidAuthorityItsBackendIsRefusedAndTheRouteStaysAccepted)
{
    struct Row {
        const char* claim;
        std::vector<model::ObjectReference> refs;
        const char* well_known;
        const char* accepted;
        const char* resolved;
        bool valid;
    };
    const char* none = "False/NoValidCACertificate";
    const Row rows[] = {
        {"missing", {object_ref("ConfigMap", "gone")}, "", none, "False/InvalidCACertificateRef", false},
        {"empty", {object_ref("ConfigMap", "empty")}, "", none, "False/InvalidCACertificateRef", false},
        {"another kind", {object_ref("InvalidKind", "ca")}, "", none, "False/InvalidKind", false},
        {"one of two",
         {object_ref("ConfigMap", "gone"), object_ref("ConfigMap", "ca")},
         "",
         "True/Accepted",
         "False/InvalidCACertificateRef",
         true},
        {"another set", {}, "example.com/set", "False/Invalid", "True/ResolvedRefs", false},
    };
    for (const Row& row : rows) {
        model::BackendTlsPolicy policy = tls_policy("p", "web");
        policy.ca_refs = row.refs;
        policy.well_known_ca = row.well_known;
        const Plan plan = policy_world().add(policy).plan();
        EXPECT_EQ(policy_outcome(plan, "p", "Accepted"), row.accepted) << row.claim;
        EXPECT_EQ(policy_outcome(plan, "p", "ResolvedRefs"), row.resolved) << row.claim;
        EXPECT_EQ(first_backend(plan).valid, row.valid) << row.claim;
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "True/Accepted") << row.claim;
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"), "True/ResolvedRefs") << row.claim;
    }
}

TEST(BackendTlsPolicy, OfTwoForOneTargetTheOlderServesAndTheOtherIsConflicted)
{
    struct Row {
        const char* claim;
        const char* created_a;
        const char* created_b;
        const char* winner;
    };
    for (const Row& row : {Row{"by age", "2021-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "b"},
                           Row{"by name", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "a"}}) {
        model::BackendTlsPolicy a = tls_policy("a", "web", row.created_a);
        a.hostname = "a";
        model::BackendTlsPolicy b = tls_policy("b", "web", row.created_b);
        b.hostname = "b";
        const Plan plan = policy_world().add(a).add(b).plan();
        EXPECT_EQ(first_backend(plan).tls->hostname, row.winner) << row.claim;
        for (const char* name : {"a", "b"})
            EXPECT_EQ(policy_outcome(plan, name, "Accepted"),
                      std::string_view(name) == row.winner ? "True/Accepted" : "False/Conflicted")
                << row.claim;
    }
}

TEST(BackendTlsPolicy, OneForThePortComesBeforeOneForTheWholeService)
{
    model::BackendTlsPolicy whole = tls_policy("whole", "web", "2020-01-01T00:00:00Z");
    whole.hostname = "whole";
    model::BackendTlsPolicy port = tls_policy("port", "web", "2021-01-01T00:00:00Z");
    port.hostname = "port";
    port.targets[0].section_name = "http";
    model::BackendTlsPolicy lost = tls_policy("lost", "web", "2021-01-01T00:00:00Z");
    lost.targets[0].section_name = "nowhere";
    const Plan plan = policy_world().add(whole).add(port).add(lost).plan();
    EXPECT_EQ(first_backend(plan).tls->hostname, "port");
    EXPECT_EQ(policy_outcome(plan, "whole", "Accepted"), "True/Accepted");
    EXPECT_EQ(policy_outcome(plan, "port", "Accepted"), "True/Accepted");
    EXPECT_EQ(policy_outcome(plan, "lost", "Accepted"), "False/TargetNotFound");
}

TEST(BackendTlsPolicy, HasNoEffectAndNoStatusWhereNoRouteLeads)
{
    model::BackendTlsPolicy elsewhere = tls_policy("elsewhere", "unused");
    model::BackendTlsPolicy other_ns = tls_policy("p", "web");
    other_ns.meta.ns = "other";
    const Plan plan = policy_world().add(elsewhere).add(other_ns).plan();
    EXPECT_EQ(find_status(plan, "BackendTLSPolicy", "elsewhere"), nullptr);
    EXPECT_EQ(find_status(plan, "BackendTLSPolicy", "p"), nullptr);
    EXPECT_FALSE(first_backend(plan).tls);
}

TEST(BackendTlsPolicy, ReachesTlsRoutesWhereTheListenerEndsTlsOnly)
{
    World world = policy_world();
    world.add(secret("cert")).add(tls_policy("p", "web")).add(tls_route("t", {"a.org"}));
    world.objects.gateways.edit(0).listeners = {tls_listener("end", "TLS", 443), passthrough_listener("pass", 444)};
    Plan plan = world.plan();
    ASSERT_EQ(plan.tls.size(), 2U);
    EXPECT_TRUE(plan.tls[0].hosts.at(0).backends.at(0).tls);
    EXPECT_FALSE(plan.tls[1].hosts.at(0).backends.at(0).tls);
    world.objects.config_maps.clear();
    plan = world.plan();
    EXPECT_FALSE(plan.tls[0].hosts.at(0).backends.at(0).valid);
    EXPECT_TRUE(plan.tls[1].hosts.at(0).backends.at(0).valid);
    EXPECT_EQ(plan.tls[1].hosts.at(0).backends.at(0).endpoints.size(), 1U);
}

TEST(BackendTlsPolicy, MakesWebSocketOverTlsPossible)
{
    World world = policy_world();
    world.objects.services.edit(0).ports[0].app_protocol = "kubernetes.io/wss";
    const Plan plan = world.add(tls_policy("p", "web")).plan();
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"), "True/ResolvedRefs");
    EXPECT_TRUE(first_backend(plan).tls);
}

TEST(BackendCertificate, IsThatOfTheGatewayAndOfNoOther)
{
    World world = policy_world();
    world.objects.gateways.edit(0).tls.backend_certificate_ref = object_ref("Secret", "client");
    model::Gateway second = gateway("second", {listener("web", "HTTP", 81)});
    world.add(second).add(tls_policy("p", "web")).add(service("plain"));
    world.objects.http_routes.edit(0).parent_refs.push_back(parent("second"));
    world.objects.http_routes.edit(0).rules[0].backend_refs.push_back(backend("plain"));
    const Plan plan = world.plan();
    ASSERT_EQ(plan.http.size(), 2U);
    const std::vector<Backend>& with = plan.http[0].listeners.at(0).rules.at(0)->backends;
    const std::vector<Backend>& without = plan.http[1].listeners.at(0).rules.at(0)->backends;
    ASSERT_TRUE(with.at(0).tls->client_certificate);
    EXPECT_EQ(with[0].tls->client_certificate->name, "default/client");
    EXPECT_FALSE(with.at(1).tls);
    EXPECT_FALSE(without.at(0).tls->client_certificate);
    const auto* status = find_status(plan, "BackendTLSPolicy", "p");
    ASSERT_NE(status, nullptr);
    EXPECT_EQ(status->ancestors.size(), 2U);
}

}  // namespace
}  // namespace sluice::plan::test
