// SPDX-License-Identifier: Apache-2.0
// BackendTLSPolicies: which backend they reach, what they say to it, and their status.
#include <gtest/gtest.h>

#include "agent/plan/pem.h"
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
    EXPECT_TRUE(first_backend(plan).tls->ca_pem.empty());
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
        {"large", {object_ref("ConfigMap", "large")}, "", none, "False/InvalidCACertificateRef", false},
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
        const auto large = config_map("large", "default", pem_of_size("CERTIFICATE", kPemBytesMax + 1));
        const Plan plan = policy_world().add(large).add(policy).plan();
        EXPECT_EQ(policy_outcome(plan, "p", "Accepted"), row.accepted) << row.claim;
        EXPECT_EQ(policy_outcome(plan, "p", "ResolvedRefs"), row.resolved) << row.claim;
        EXPECT_EQ(first_backend(plan).valid, row.valid) << row.claim;
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "True/Accepted") << row.claim;
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "ResolvedRefs"), "True/ResolvedRefs") << row.claim;
    }
}

TEST(BackendTlsPolicy, ARepeatedAuthorityCountsOnce)
{
    model::BackendTlsPolicy policy = tls_policy("p", "web");
    policy.ca_refs.assign(8, object_ref("ConfigMap", "ca"));
    const Plan plan = policy_world().add(policy).plan();
    EXPECT_EQ(policy_outcome(plan, "p", "ResolvedRefs"), "True/ResolvedRefs");
    EXPECT_EQ(first_backend(plan).tls->ca_pem, pem("CERTIFICATE"));
}

// They come one after the other, each with a plan of its own, and some change.
TEST(BackendTlsPolicy, PoliciesOfEqualAuthoritiesHoldThemOnceFromPlanToPlan)
{
    World world = policy_world();
    world.objects.http_routes.edit(0).rules[0].backend_refs = {backend("web"), backend("second"), backend("third")};
    world.add(service("second")).add(service("third"));
    Planner planner;
    std::string created = "2026-01-01T00:00:00Z";
    for (const char* name : {"web", "second", "third"}) {
        world.add(tls_policy(name, name, created));
        created[3] = static_cast<char>(created[3] + 1);
        world.objects.backend_tls_policies.edit(0).dns_sans.push_back(std::string(name) + ".example.com");
        static_cast<void>(planner.plan(world.objects, world.facts));
    }
    const Plan plan = planner.plan(world.objects, world.facts);
    const std::vector<Backend>& backends = plan.http.at(0).listeners.at(0).rules.at(0)->backends;
    ASSERT_EQ(backends.size(), 3U);
    for (const Backend& one : backends) {
        ASSERT_TRUE(one.tls) << one.name;
        EXPECT_EQ(one.tls->ca_pem, pem("CERTIFICATE")) << one.name;
        EXPECT_EQ(place_of(one.tls->ca_pem), place_of(backends[0].tls->ca_pem)) << one.name;
    }
}

TEST(BackendTlsPolicy, SaysAnewWhatItsAuthorityHasBecome)
{
    World world = policy_world();
    world.add(tls_policy("p", "web"));
    Planner planner;
    EXPECT_EQ(first_backend(planner.plan(world.objects, world.facts)).tls->ca_pem, pem("CERTIFICATE"));
    world.objects.config_maps.edit(0).ca_crt = pem("CERTIFICATE", "TUlJQw==");
    EXPECT_EQ(first_backend(planner.plan(world.objects, world.facts)).tls->ca_pem, pem("CERTIFICATE", "TUlJQw=="));
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

TEST(BackendTlsPolicy, EachPortAndTheWholeServiceHaveTheirOwnOldest)
{
    struct Row {
        const char* claim;
        std::vector<model::PolicyTarget> older;
        std::vector<model::PolicyTarget> younger;
        const char* serves;  // port http of Service web
        const char* accepted_older;
        const char* accepted_younger;
    };
    const model::PolicyTarget whole{"", "Service", "web", {}};
    const model::PolicyTarget http{"", "Service", "web", "http"};
    const model::PolicyTarget dns{"", "Service", "web", "dns"};
    const model::PolicyTarget lost{"", "Service", "web", "lost"};
    const model::PolicyTarget foreign{"example.com", "Service", "web", {}};
    const char* good = "True/Accepted";
    const char* conflicted = "False/Conflicted";
    const Row rows[] = {
        {"the whole before a port", {whole}, {http}, "younger", good, good},
        {"a port before the whole", {http}, {whole}, "older", good, good},
        {"two ports", {dns}, {http}, "younger", good, good},
        {"one port twice", {http}, {http}, "older", good, conflicted},
        {"the other of two targets", {dns}, {dns, http}, "younger", good, conflicted},
        {"the other comes first", {dns}, {http, dns}, "younger", good, conflicted},
        {"a target twice in one policy", {http, http}, {whole}, "older", conflicted, good},
        {"a port that is lost", {lost}, {lost}, "nobody", "False/TargetNotFound", conflicted},
        {"a lost port and the whole", {lost, whole}, {whole}, "older", "False/TargetNotFound", conflicted},
        {"another kind of target", {foreign}, {whole}, "younger", "none", good},
    };
    for (const Row& row : rows) {
        model::BackendTlsPolicy older = tls_policy("older", "web", "2020-01-01T00:00:00Z");
        older.targets = row.older;
        older.hostname = "older";
        model::BackendTlsPolicy younger = tls_policy("a-younger", "web", "2021-01-01T00:00:00Z");
        younger.targets = row.younger;
        younger.hostname = "younger";
        const Plan plan = policy_world().add(older).add(younger).plan();
        const Shared<BackendTls>& tls = first_backend(plan).tls;
        EXPECT_EQ(tls ? tls->hostname : "nobody", row.serves) << row.claim;
        EXPECT_EQ(policy_outcome(plan, "older", "Accepted"), row.accepted_older) << row.claim;
        EXPECT_EQ(policy_outcome(plan, "a-younger", "Accepted"), row.accepted_younger) << row.claim;
    }
}

TEST(BackendTlsPolicy, TheFirstSixteenGatewaysByNameHaveItsStatus)
{
    World world;
    world.add(service("api")).add(service("web")).add(config_map("ca"));
    model::BackendTlsPolicy policy = tls_policy("p", "web");
    policy.targets.push_back({"", "Service", "api", {}});
    policy.targets.push_back({"", "Service", "api", "http"});
    world.add(policy);
    // From the last to the first, and each Service has some of the first sixteen alone.
    for (int i = 29; i >= 10; --i) {
        const std::string name = "gw-" + std::to_string(i);
        world.add(gateway(name, {listener("web", "HTTP", static_cast<std::uint16_t>(8000 + i))}));
        world.add(http_route("a" + std::to_string(50 - i), {parent(name)}, {},
                             {rule({backend(i % 2 == 0 ? "web" : "api")})}));
        world.add(http_route("b" + std::to_string(50 - i), {parent(name)}, {"x.org"},
                             {rule({backend(i % 3 == 0 ? "web" : "api")})}));
    }
    const Plan plan = world.plan();
    const auto* status = find_status(plan, "BackendTLSPolicy", "p");
    ASSERT_NE(status, nullptr);
    ASSERT_EQ(status->ancestors.size(), 16U);
    for (std::size_t i = 0; i < 16; ++i)
        EXPECT_EQ(status->ancestors[i].ancestor.name, "gw-" + std::to_string(10 + i));
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
