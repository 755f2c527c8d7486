// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

TEST(Conflicts, WithinAGatewayAllListenersInConflictAreRefused)
{
    struct Row {
        const char* claim;
        model::Listener a;
        model::Listener b;
        const char* reason;  // null: no conflict
    };
    const Row rows[] = {
        {"TCP and HTTP on a port", listener("a", "TCP", 80), listener("b", "HTTP", 80), "ProtocolConflict"},
        {"two TCP on a port", listener("a", "TCP", 80), listener("b", "TCP", 80), "ProtocolConflict"},
        {"two UDP on a port", listener("a", "UDP", 80), listener("b", "UDP", 80), "ProtocolConflict"},
        {"one hostname twice", listener("a", "HTTP", 80, "x.org"), listener("b", "HTTP", 80, "X.org"),
         "HostnameConflict"},
        {"no hostname twice", listener("a", "HTTP", 80), listener("b", "HTTP", 80), "HostnameConflict"},
        {"TCP and UDP on a port", listener("a", "TCP", 80), listener("b", "UDP", 80), nullptr},
        {"HTTP and UDP on a port", listener("a", "HTTP", 80), listener("b", "UDP", 80), nullptr},
        {"two hostnames", listener("a", "HTTP", 80, "x.org"), listener("b", "HTTP", 80, "*.org"), nullptr},
        {"hostname and none", listener("a", "HTTP", 80, "x.org"), listener("b", "HTTP", 80), nullptr},
        {"two ports", listener("a", "HTTP", 80), listener("b", "TCP", 81), nullptr},
    };
    for (const Row& row : rows) {
        World world;
        const Plan plan = world.add(gateway("gw", {row.a, row.b, listener("other", "HTTP", 8080)})).plan();
        const std::string reason = row.reason == nullptr ? "" : row.reason;
        for (const char* name : {"a", "b"}) {
            EXPECT_EQ(listener_outcome(plan, "gw", name, "Accepted"),
                      reason.empty() ? "True/Accepted" : "False/" + reason)
                << row.claim;
            EXPECT_EQ(listener_outcome(plan, "gw", name, "Conflicted"),
                      reason.empty() ? "False/NoConflicts" : "True/" + reason)
                << row.claim;
            EXPECT_EQ(listener_outcome(plan, "gw", name, "Programmed"),
                      reason.empty() ? "True/Programmed" : "False/Invalid")
                << row.claim;
        }
        EXPECT_EQ(listener_outcome(plan, "gw", "other", "Programmed"), "True/Programmed") << row.claim;
        EXPECT_EQ(gateway_outcome(plan, "gw", "Accepted"), reason.empty() ? "True/Accepted" : "True/ListenersNotValid")
            << row.claim;
    }
}

TEST(Conflicts, ARouteOnAConflictedListenerIsCountedButNotServed)
{
    World world;
    world.add(gateway("gw", {listener("a", "TCP", 80), listener("b", "HTTP", 80)})).add(http_route("r"));
    const Plan plan = world.plan();
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "True/Accepted");
    EXPECT_EQ(route_message(plan, "HTTPRoute", "r", "Accepted"), "not served by b");
    EXPECT_EQ(listener_of(plan, "gw", "b").attached_routes, 1U);
    EXPECT_TRUE(plan.http.empty());
    EXPECT_TRUE(plan.l4.empty());
    EXPECT_EQ(gateway_outcome(plan, "gw", "Accepted"), "False/ListenersNotValid");
}

struct PairRow {
    const char* claim;
    model::Listener old_listener;
    std::vector<std::string> old_addresses;
    model::Listener young_listener;
    std::vector<std::string> young_addresses;
    bool clash;
};

std::vector<PairRow> pair_rows()
{
    const model::Listener http = listener("l", "HTTP", 80);
    const model::Listener named = listener("l", "HTTP", 80, "x.org");
    const model::Listener tcp = listener("l", "TCP", 80);
    const model::Listener udp = listener("l", "UDP", 80);
    return {
        {"node addresses, same HTTP", http, {}, http, {}, true},
        {"node addresses, other hostname", http, {}, named, {}, false},
        {"node addresses, other port", http, {}, listener("l", "HTTP", 81), {}, false},
        {"node addresses, TCP twice", tcp, {}, tcp, {}, true},
        {"node addresses, TCP and HTTP", tcp, {}, http, {}, true},
        {"node addresses, HTTP and TCP", named, {}, tcp, {}, true},
        {"node addresses, TCP and UDP", tcp, {}, udp, {}, false},
        {"own addresses apart", http, {"192.0.2.7"}, http, {"192.0.2.8"}, false},
        {"one address twice", http, {"192.0.2.7"}, http, {"192.0.2.7"}, true},
        {"one address, other hostname", http, {"192.0.2.7"}, named, {"192.0.2.7"}, false},
        {"equal sets in another order", http, {"192.0.2.7", "192.0.2.8"}, named, {"192.0.2.8", "192.0.2.7"}, false},
        {"sets that overlap, even with another hostname", http, {"192.0.2.7", "192.0.2.8"}, named, {"192.0.2.8"}, true},
        {"every address against one", http, {}, named, {"192.0.2.7"}, true},
        {"one address against every", udp, {"192.0.2.7"}, udp, {}, true},
    };
}

TEST(Conflicts, BetweenGatewaysTheOlderKeepsThePort)
{
    for (const PairRow& row : pair_rows()) {
        World world;
        // The older one has the later name, so that only its age can decide.
        const Plan plan =
            world.add(gateway("z-old", {row.old_listener}, row.old_addresses, "2026-01-01T00:00:00Z"))
                .add(gateway("a-young", {row.young_listener}, row.young_addresses, "2026-01-02T00:00:00Z"))
                .plan();
        EXPECT_EQ(listener_outcome(plan, "z-old", "l", "Accepted"), "True/Accepted") << row.claim;
        EXPECT_EQ(listener_outcome(plan, "a-young", "l", "Accepted"),
                  row.clash ? "False/PortUnavailable" : "True/Accepted")
            << row.claim;
        EXPECT_EQ(listener_outcome(plan, "a-young", "l", "Programmed"), row.clash ? "False/Invalid" : "True/Programmed")
            << row.claim;
        EXPECT_EQ(plan.http.size() + plan.l4.size() == 1 && (plan.http.empty() || plan.http[0].listeners.size() == 1),
                  row.clash)
            << row.claim;
        const std::string text = message(listener_of(plan, "a-young", "l").conditions, "Accepted");
        EXPECT_EQ(text.find("default/z-old/l") != std::string::npos, row.clash) << row.claim << ": " << text;
    }
}

TEST(Conflicts, WithoutTimestampsTheNameDecidesWhoIsOlder)
{
    World world;
    world.add(gateway("b", {listener("l", "TCP", 80)})).add(gateway("a", {listener("l", "TCP", 80)}));
    const Plan plan = world.plan();
    EXPECT_EQ(listener_outcome(plan, "a", "l", "Accepted"), "True/Accepted");
    EXPECT_EQ(listener_outcome(plan, "b", "l", "Accepted"), "False/PortUnavailable");
}

TEST(Conflicts, ListenersOfDifferentGatewaysOnEqualAddressesShareAnHttpPort)
{
    World world;
    world.add(gateway("a", {listener("l", "HTTP", 80, "a.org")}))
        .add(gateway("b", {listener("l", "HTTP", 80, "b.org")}));
    const Plan plan = world.plan();
    ASSERT_EQ(plan.http.size(), 1U);
    ASSERT_EQ(plan.http[0].listeners.size(), 2U);
    EXPECT_EQ(plan.http[0].listeners[0].name, "default/a/l");
    EXPECT_EQ(plan.http[0].listeners[1].name, "default/b/l");
}

// Else who shares an address by chance could have another's hosts, by being more specific.
TEST(Conflicts, HostsOfAnOlderGatewayAreNotTakenFromAnotherNamespace)
{
    const struct {
        const char* claim;
        const char* older;
        const char* younger;
        const char* younger_ns;
        bool is_taken;
    } rows[] = {
        {"another namespace, every host", "", "x.org", "other", true},
        {"another namespace, a wildcard", "*.org", "x.org", "other", true},
        {"another namespace, a deeper wildcard", "*.org", "*.x.org", "other", true},
        {"another namespace, a wildcard far above", "*.org", "a.b.x.org", "other", true},
        {"another namespace, a wildcard far above another", "*.org", "*.b.x.org", "other", true},
        {"another namespace, another host", "*.com", "x.org", "other", false},
        {"another namespace, the bare domain", "*.x.org", "x.org", "other", false},
        {"another namespace, an end that is no label", "*.x.org", "ax.org", "other", false},
        {"another namespace, a wildcard beside it", "*.y.org", "*.x.org", "other", false},
        {"another namespace, the more general name", "x.org", "*.org", "other", false},
        {"the same namespace", "", "x.org", "default", false},
    };
    for (const auto& row : rows) {
        World world;
        model::Gateway younger = gateway("young", {listener("l", "HTTP", 80, row.younger)}, {}, "2026-01-02T00:00:00Z");
        younger.meta.ns = row.younger_ns;
        const Plan plan = world.add(gateway("old", {listener("l", "HTTP", 80, row.older)}, {}, "2026-01-01T00:00:00Z"))
                              .add(younger)
                              .plan();
        ASSERT_EQ(plan.http.size(), 1U) << row.claim;
        EXPECT_EQ(plan.http[0].listeners.size(), row.is_taken ? 1U : 2U) << row.claim;
        EXPECT_EQ(plan.http[0].listeners[0].name, "default/old/l") << row.claim;
    }
}

TEST(Conflicts, ThatAnotherOfTheSameNamespaceHasTheHostsTooIsNoLeaveToTakeThem)
{
    World world;
    model::Gateway foreign = gateway("foreign", {listener("l", "HTTP", 80, "*.org")}, {}, "2026-01-02T00:00:00Z");
    foreign.meta.ns = "other";
    world.add(gateway("own", {listener("l", "HTTP", 80, "*.a.org")}, {}, "2026-01-01T00:00:00Z"))
        .add(foreign)
        .add(gateway("young", {listener("l", "HTTP", 80, "y.a.org")}, {}, "2026-01-03T00:00:00Z"));
    const Plan plan = world.plan();
    EXPECT_EQ(listener_outcome(plan, "own", "l", "Accepted"), "True/Accepted");
    EXPECT_EQ(listener_outcome(plan, "foreign", "l", "Accepted"), "True/Accepted");
    EXPECT_EQ(listener_outcome(plan, "young", "l", "Accepted"), "False/PortUnavailable");
    const std::string text = message(listener_of(plan, "young", "l").conditions, "Accepted");
    EXPECT_NE(text.find("other/foreign/l"), std::string::npos) << text;
}

TEST(Conflicts, AListenerThatIsNotServedHoldsNoPort)
{
    World world;
    world.add(gateway("a", {listener("x", "TCP", 80), listener("y", "HTTP", 80)}))
        .add(gateway("b", {listener("l", "HTTP", 80)}))
        .add(gateway("aa-unusable", {listener("l", "TCP", 81)}, {"127.0.0.1"}))
        .add(gateway("c", {listener("l", "TCP", 81)}));
    const Plan plan = world.plan();
    EXPECT_EQ(listener_outcome(plan, "b", "l", "Programmed"), "True/Programmed");
    EXPECT_EQ(listener_outcome(plan, "c", "l", "Programmed"), "True/Programmed");
}

}  // namespace
}  // namespace sluice::plan::test
