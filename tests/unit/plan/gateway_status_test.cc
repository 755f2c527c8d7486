// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

model::Gateway with_address(const std::string& type, const std::string& value)
{
    model::Gateway result = gateway("gw", {listener("web", "HTTP", 80)});
    result.addresses.push_back({type, value});
    return result;
}

TEST(GatewayStatus, OurClassIsAcceptedAndOthersGetNoStatus)
{
    World world;
    model::GatewayClass other;
    other.meta = meta("other", "");
    other.controller_name = "example.com/gateway-controller";
    model::GatewayClass tuned;
    tuned.meta = meta("tuned", "");
    tuned.controller_name = world.facts.controller_name;
    tuned.parameters_ref = model::ParametersReference{"example.com", "Tuning", "tuned", {}};
    const Plan plan = world.add(other).add(tuned).plan();
    ASSERT_NE(find_status(plan, "GatewayClass", "sluice"), nullptr);
    EXPECT_EQ(outcome(find_status(plan, "GatewayClass", "sluice")->conditions, "Accepted"), "True/Accepted");
    EXPECT_EQ(outcome(find_status(plan, "GatewayClass", "tuned")->conditions, "Accepted"), "False/InvalidParameters");
    EXPECT_EQ(find_status(plan, "GatewayClass", "other"), nullptr);
}

TEST(GatewayStatus, AControllerNameOfTheUsersChoiceMakesAClassOurs)
{
    World world;
    world.facts.controller_name = "example.com/gateway-controller";
    EXPECT_EQ(find_status(world.plan(), "GatewayClass", "sluice"), nullptr);
    world.objects.gateway_classes.edit(0).controller_name = "example.com/gateway-controller";
    EXPECT_NE(find_status(world.plan(), "GatewayClass", "sluice"), nullptr);
}

TEST(GatewayStatus, AGoodGatewayIsAcceptedAndProgrammedOnTheNodesAddresses)
{
    World world;
    const Plan plan = world.add(gateway("gw", {listener("web", "HTTP", 80)})).plan();
    for (const char* good : {"Accepted", "Programmed", "ResolvedRefs"}) {
        EXPECT_EQ(gateway_outcome(plan, "gw", good), std::string("True/") + good);
        EXPECT_EQ(listener_outcome(plan, "gw", "web", good), std::string("True/") + good);
    }
    const auto* status = find_status(plan, "Gateway", "gw");
    EXPECT_EQ(status->addresses, (std::vector<model::GatewayAddress>{{"IPAddress", "192.0.2.1"}}));
    EXPECT_EQ(status->conditions[0].observed_generation, 7);
    EXPECT_EQ(status->listeners[0].conditions[0].observed_generation, 7);
    EXPECT_TRUE(plan.addresses.empty());
}

TEST(GatewayStatus, GatewaysOfOtherClassesAreIgnored)
{
    World world;
    model::Gateway foreign = gateway("gw", {listener("web", "HTTP", 80)});
    foreign.gateway_class_name = "other";
    const Plan plan = world.add(foreign).plan();
    EXPECT_EQ(find_status(plan, "Gateway", "gw"), nullptr);
    EXPECT_TRUE(plan.http.empty());
}

TEST(GatewayStatus, UnknownParametersKeepAGatewayFromServing)
{
    World world;
    model::Gateway own = gateway("own", {listener("web", "HTTP", 80)});
    own.has_parameters_ref = true;
    model::GatewayClass tuned = world.objects.gateway_classes[0];
    tuned.meta.name = "tuned";
    tuned.parameters_ref = model::ParametersReference{"example.com", "Tuning", "tuned", {}};
    model::Gateway classed = gateway("classed", {listener("web", "HTTP", 81)});
    classed.gateway_class_name = "tuned";
    const Plan plan = world.add(own).add(tuned).add(classed).plan();
    for (const char* name : {"own", "classed"}) {
        EXPECT_EQ(gateway_outcome(plan, name, "Accepted"), "False/InvalidParameters");
        EXPECT_EQ(gateway_outcome(plan, name, "Programmed"), "False/Invalid");
        EXPECT_EQ(listener_outcome(plan, name, "web", "Programmed"), "False/Invalid");
    }
    EXPECT_TRUE(plan.http.empty());
}

TEST(GatewayStatus, AnAddressIsUsableOrSaysWhyNot)
{
    struct Row {
        const char* type;
        const char* value;
        const char* accepted;
        const char* programmed;
    };
    const Row rows[] = {
        {"IPAddress", "192.0.2.9", "True/Accepted", "True/Programmed"},
        {"IPAddress", "192.0.2.1", "True/Accepted", "True/Programmed"},
        {"IPAddress", "2001:DB8::9", "True/Accepted", "True/Programmed"},
        {"IPAddress", "", "True/Accepted", "False/AddressNotUsable"},
        {"IPAddress", "127.0.0.1", "True/Accepted", "False/AddressNotUsable"},
        {"IPAddress", "::1", "True/Accepted", "False/AddressNotUsable"},
        {"IPAddress", "0.0.0.0", "True/Accepted", "False/AddressNotUsable"},
        {"IPAddress", "::", "True/Accepted", "False/AddressNotUsable"},
        {"IPAddress", "224.0.0.9", "True/Accepted", "False/AddressNotUsable"},
        {"IPAddress", "ff02::1", "True/Accepted", "False/AddressNotUsable"},
        {"IPAddress", "169.254.169.254", "True/Accepted", "False/AddressNotUsable"},
        {"IPAddress", "255.255.255.255", "True/Accepted", "False/AddressNotUsable"},
        {"IPAddress", "192.0.2.9/24", "True/Accepted", "False/AddressNotUsable"},
        {"Hostname", "gw.example.com", "False/UnsupportedAddress", "False/Invalid"},
        {"example.com/vip", "192.0.2.9", "False/UnsupportedAddress", "False/Invalid"},
    };
    for (const Row& row : rows) {
        World world;
        const Plan plan = world.add(with_address(row.type, row.value)).plan();
        EXPECT_EQ(gateway_outcome(plan, "gw", "Accepted"), row.accepted) << row.value;
        EXPECT_EQ(gateway_outcome(plan, "gw", "Programmed"), row.programmed) << row.value;
        const bool usable = std::string_view(row.programmed).starts_with("True");
        EXPECT_EQ(plan.addresses.size(), usable ? 1U : 0U) << row.value;
        EXPECT_EQ(plan.http.size(), usable ? 1U : 0U) << row.value;
        const auto* status = find_status(plan, "Gateway", "gw");
        ASSERT_EQ(status->addresses.size(), usable ? 1U : 0U) << row.value;
        if (usable)
            EXPECT_EQ(status->addresses[0].value, row.value);
        else
            EXPECT_NE(message(status->conditions, "Programmed").find("spec.addresses[0]"), std::string::npos);
    }
}

TEST(GatewayStatus, UsableAddressesServeBesideUnusableOnes)
{
    World world;
    model::Gateway gw = gateway("gw", {listener("web", "HTTP", 80)}, {"192.0.2.9", "127.0.0.1", "192.0.2.9"});
    Plan plan = world.add(gw).plan();
    EXPECT_EQ(gateway_outcome(plan, "gw", "Programmed"), "False/AddressNotUsable");
    EXPECT_EQ(find_status(plan, "Gateway", "gw")->addresses.size(), 1U);
    EXPECT_EQ(plan.http.at(0).addresses, std::vector<IpAddress>{ip("192.0.2.9")});
    EXPECT_EQ(listener_outcome(plan, "gw", "web", "Programmed"), "True/Programmed");
}

TEST(GatewayStatus, WithoutAnyNodeAddressNoneIsAssigned)
{
    World world;
    world.facts.addresses.clear();
    const Plan plan = world.add(gateway("gw", {listener("web", "HTTP", 80)})).plan();
    EXPECT_EQ(gateway_outcome(plan, "gw", "Programmed"), "False/AddressNotAssigned");
}

TEST(GatewayStatus, AListenerOnItsOwnIsValidOrSaysWhyNot)
{
    model::Listener tls = listener("l", "HTTP", 80);
    tls.tls = model::ListenerTls{};
    model::Listener passthrough_https = listener("l", "HTTPS", 443);
    passthrough_https.tls = model::ListenerTls{model::ListenerTls::Mode::Passthrough, {}};
    struct Row {
        const char* claim;
        model::Listener listener;
        const char* accepted;
        std::size_t kinds;
    };
    const Row rows[] = {
        {"HTTP", listener("l", "HTTP", 80), "True/Accepted", 2},
        {"TCP", listener("l", "TCP", 80), "True/Accepted", 1},
        {"UDP", listener("l", "UDP", 80), "True/Accepted", 1},
        {"HTTPS", tls_listener("l", "HTTPS", 443), "True/Accepted", 2},
        {"TLS that ends here", tls_listener("l", "TLS", 443), "True/Accepted", 1},
        {"TLS that is passed through", passthrough_listener("l", 443), "True/Accepted", 1},
        {"TLS without tls", listener("l", "TLS", 443), "False/UnsupportedValue", 1},
        {"HTTPS that is passed through", passthrough_https, "False/UnsupportedValue", 2},
        {"a protocol of another domain", listener("l", "example.com/x", 443), "False/UnsupportedProtocol", 0},
        {"lower case is another protocol", listener("l", "http", 80), "False/UnsupportedProtocol", 0},
        {"tls on HTTP", tls, "False/UnsupportedValue", 2},
        {"hostname on TCP", listener("l", "TCP", 80, "x.org"), "False/UnsupportedValue", 1},
        {"port 0", listener("l", "HTTP", 0), "False/UnsupportedValue", 2},
        {"a name twice", listener("good", "HTTP", 81), "True/Accepted", 2},
    };
    for (const Row& row : rows) {
        World world;
        const Plan plan =
            world.add(secret("cert")).add(gateway("gw", {listener("good", "HTTP", 8080), row.listener})).plan();
        const auto& status = listener_of(plan, "gw", row.listener.name);
        EXPECT_EQ(outcome(status.conditions, "Accepted"), row.accepted) << row.claim;
        EXPECT_EQ(status.supported_kinds.size(), row.kinds) << row.claim;
        const bool good = std::string_view(row.accepted).starts_with("True");
        EXPECT_EQ(outcome(status.conditions, "Programmed"), good ? "True/Programmed" : "False/Invalid") << row.claim;
    }
}

TEST(GatewayStatus, TheSecondOfTwoListenersOfOneNameIsRefused)
{
    World world;
    const Plan plan = world.add(gateway("gw", {listener("l", "HTTP", 80), listener("l", "TCP", 81)})).plan();
    const auto& listeners = find_status(plan, "Gateway", "gw")->listeners;
    EXPECT_EQ(outcome(listeners.at(0).conditions, "Accepted"), "True/Accepted");
    EXPECT_EQ(outcome(listeners.at(1).conditions, "Accepted"), "False/Invalid");
    EXPECT_TRUE(plan.l4.empty());
}

TEST(GatewayStatus, InvalidRouteKindsAreNamedAndGoodOnesKept)
{
    const model::RouteGroupKind http{model::kGatewayGroup, "HTTPRoute"};
    const model::RouteGroupKind grpc{model::kGatewayGroup, "GRPCRoute"};
    const model::RouteGroupKind tcp{model::kGatewayGroup, "TCPRoute"};
    const model::RouteGroupKind wrong_group{"", "HTTPRoute"};
    struct Row {
        const char* claim;
        std::vector<model::RouteGroupKind> kinds;
        const char* resolved;
        std::size_t kept;
        const char* programmed;
        const char* gateway_accepted;
    };
    const Row rows[] = {
        {"the protocol's own", {http}, "True/ResolvedRefs", 1, "True/Programmed", "True/Accepted"},
        {"none good", {tcp}, "False/InvalidRouteKinds", 0, "False/Invalid", "False/ListenersNotValid"},
        {"the protocol's other one", {grpc}, "True/ResolvedRefs", 1, "True/Programmed", "True/Accepted"},
        {"some good", {tcp, http}, "False/InvalidRouteKinds", 1, "True/Programmed", "True/ListenersNotValid"},
        {"wrong group", {wrong_group}, "False/InvalidRouteKinds", 0, "False/Invalid", "False/ListenersNotValid"},
    };
    for (const Row& row : rows) {
        World world;
        model::Gateway gw = gateway("gw", {listener("web", "HTTP", 80)});
        gw.listeners[0].allowed_routes.kinds = row.kinds;
        const Plan plan = world.add(gw).plan();
        EXPECT_EQ(listener_outcome(plan, "gw", "web", "ResolvedRefs"), row.resolved) << row.claim;
        EXPECT_EQ(listener_outcome(plan, "gw", "web", "Accepted"), "True/Accepted") << row.claim;
        EXPECT_EQ(listener_outcome(plan, "gw", "web", "Programmed"), row.programmed) << row.claim;
        EXPECT_EQ(listener_of(plan, "gw", "web").supported_kinds.size(), row.kept) << row.claim;
        EXPECT_EQ(gateway_outcome(plan, "gw", "Accepted"), row.gateway_accepted) << row.claim;
    }
}

TEST(GatewayStatus, StatusesAreSortedAndEqualForEqualInput)
{
    World world;
    world.add(gateway("b", {listener("l", "HTTP", 81)})).add(gateway("gw", {listener("l", "HTTP", 80)}));
    world.add(http_route("z")).add(http_route("a")).add(l4_route<model::TcpRoute>("t"));
    const Plan plan = world.plan();
    EXPECT_TRUE(std::ranges::is_sorted(plan.statuses, {}, model::key_of));
    EXPECT_EQ(plan.statuses.size(), 6U);
    EXPECT_EQ(plan.http, world.plan().http);
}

}  // namespace
}  // namespace sluice::plan::test
