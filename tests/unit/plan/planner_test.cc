// SPDX-License-Identifier: Apache-2.0
// A planner that remembers says what one says that has seen nothing before, whatever has changed in between.
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

// A small world in which anything may change: names are few, so that what one object says often matters to another.
class Changing : public World {
public:
    explicit Changing(unsigned seed) : random_(seed)
    {
        add(gateway("gw",
                    {listener("web", "HTTP", 80), listener("tcp", "TCP", 9000), passthrough_listener("tls", 443)}));
        add(secret("cert")).add(config_map("ca"));
        if (seed % 2 == 1)  // so few that some routes always go without
            facts.route_entries_max = {.all = 9, .of_namespace = 7};
        for (int i = 0; i < 60; ++i)
            change();
    }

    // What was changed, for messages.
    std::string change()
    {
        switch (number(14)) {
        case 0:
        case 1: return put(objects.http_routes, some_http_route());
        case 2: return put(objects.grpc_routes, some_grpc_route());
        case 3: return put(objects.tls_routes, tls_route(name("t"), {host()}, backends(), time()));
        case 4: return put(objects.tcp_routes, l4_route<model::TcpRoute>(name("l"), {parent("gw", "tcp")}, backends()));
        case 5: return put(objects.services, some_service());
        case 6: return put(objects.endpoint_slices, slice(name("s"), {endpoint(address().c_str())}));
        case 7: return put(objects.backend_tls_policies, some_policy());
        case 8: return put(objects.reference_grants, grant("other", "HTTPRoute", "default"));
        case 9: return put(objects.gateways, some_gateway());
        case 10: return drop(objects.http_routes, "HTTPRoute");
        case 11: return drop(objects.grpc_routes, "GRPCRoute");
        case 12: return number(2) == 0 ? drop(objects.services, "Service") : drop(objects.endpoint_slices, "slice");
        default: return rarely();
        }
    }

private:
    unsigned number(unsigned below) { return std::uniform_int_distribution(0U, below - 1)(random_); }
    std::string name(const char* prefix) { return prefix + std::to_string(number(4)); }
    std::string host() { return std::array{"a.example.com", "b.example.com", "*.example.com", "c.org"}[number(4)]; }
    std::string address() { return "10.0.0." + std::to_string(1 + number(5)); }
    std::string time() { return "2026-01-0" + std::to_string(1 + number(5)) + "T00:00:00Z"; }
    std::vector<model::BackendRef> backends()
    {
        std::vector<model::BackendRef> refs = {backend(name("s"), 80, number(3))};
        if (number(4) == 0)
            refs.emplace_back(backend(name("s"))).ns = "other";
        return refs;
    }
    model::HttpRoute some_http_route()
    {
        auto route = http_route(name("h"), {parent(number(8) == 0 ? "foreign" : "gw")}, {host()},
                                {rule(backends(), {match(model::PathMatchType::PathPrefix, "/" + name("p"))})});
        route.meta.creation_timestamp = time();
        if (number(8) == 0)
            route.rules[0].filters.types = {"URLRewrite"};
        if (number(8) == 0)
            route.rules.push_back(rule(backends(), {match(model::PathMatchType::RegularExpression, "/(")}));
        if (number(4) == 0)
            route.parent_refs.push_back(parent("gw", "web"));
        return route;
    }
    model::GrpcRoute some_grpc_route()
    {
        auto route = grpc_route(name("g"), {host()}, {grpc_match("a.B", "")}, time());
        route.rules[0].backend_refs = backends();
        return route;
    }
    model::Service some_service()
    {
        model::Service one = service(name("s"), number(3) == 0 ? "other" : "default");
        if (number(3) == 0)
            one.ports[0].app_protocol = "kubernetes.io/h2c";
        if (number(5) == 0)
            one.ports.clear();
        return one;
    }
    model::BackendTlsPolicy some_policy()
    {
        auto policy = tls_policy(name("p"), name("s"), time());
        policy.targets.push_back({"", "Service", name("s"), number(2) == 0 ? std::optional("http") : std::nullopt});
        return policy;
    }
    model::Gateway some_gateway()
    {
        model::Gateway one = gateway(number(2) == 0 ? "gw" : "second",
                                     {listener("web", "HTTP", 80, number(2) == 0 ? "*.example.com" : ""),
                                      listener("tcp", "TCP", static_cast<std::uint16_t>(9000 + number(2))),
                                      tls_listener("end", "TLS", 443)});
        if (number(3) == 0) {
            one.listeners[0].allowed_routes.from = model::AllowedRoutes::From::Selector;
            one.listeners[0].allowed_routes.selector.match_labels = {{"in", "yes"}};
        }
        return one;
    }
    std::string rarely()
    {
        switch (number(9)) {
        case 0: facts.addresses = {ip(("192.0.2." + std::to_string(1 + number(3))).c_str())}; return "facts";
        case 1: return drop(objects.reference_grants, "grant");
        case 2: return drop(objects.backend_tls_policies, "policy");
        case 3: return put(objects.config_maps, config_map("ca", "default", pem("CERTIFICATE", name("b"))));
        case 4: return put(objects.secrets, some_secret());
        case 5: return put(objects.namespaces, some_namespace());
        case 6: return put(objects.nodes, node("n1", {address()}));  // endpoints there are refused
        case 7:
            return put(objects.node_gateway_configs,
                       config({"203.0.113.1-203.0.113." + std::to_string(2 + number(2))}));
        default: return put(objects.gateway_classes, some_class());
        }
    }
    model::Secret some_secret()
    {
        model::Secret one = secret("cert");
        one.tls_crt = pem("CERTIFICATE", name("b"));
        return one;
    }
    model::Namespace some_namespace()
    {
        model::Namespace one;
        one.meta = meta("default", "");
        one.meta.labels = {{"in", number(2) == 0 ? "yes" : "no"}};
        return one;
    }
    model::GatewayClass some_class()
    {
        model::GatewayClass one = objects.gateway_classes[0];
        one.parameters_ref.reset();
        if (number(2) == 0)
            one.parameters_ref =
                model::ParametersReference{model::kConfigGroup, model::NodeGatewayConfig::kKind, "pools", {}};
        return one;
    }

    template <class T> std::string put(model::SharedList<T>& list, T one)
    {
        std::string what = std::string(T::kKind) + " " + one.meta.name;
        for (std::size_t i = 0; i < list.size(); ++i) {
            if (list[i].meta.ns != one.meta.ns || list[i].meta.name != one.meta.name)
                continue;
            list.replace(i, std::move(one));
            return what;
        }
        add(std::move(one));
        return what;
    }
    template <class T> std::string drop(model::SharedList<T>& list, const char* what)
    {
        if (!list.empty())
            list.erase(list.begin() + number(static_cast<unsigned>(list.size())));
        return std::string("without a ") + what;
    }

    std::mt19937 random_;
};

TEST(Planner, SaysWhatOneSaysThatRemembersNothing)
{
    std::size_t kept = 0;
    for (unsigned seed = 0; seed < 20; ++seed) {
        Changing world(seed);
        Planner planner;
        std::string changes;
        for (int turn = 0; turn < 200; ++turn) {
            const Plan before = planner.plan(world.objects, world.facts);
            changes = world.change();
            if (turn % 3 == 0)
                changes += ", " + world.change();
            const Plan after = planner.plan(world.objects, world.facts);
            ASSERT_EQ(after, world.plan()) << "seed " << seed << " turn " << turn << ": " << changes;
            for (const auto& status : after.statuses)
                kept +=
                    std::ranges::any_of(before.statuses, [&](const auto& one) { return one.get() == status.get(); });
        }
    }
    EXPECT_GT(kept, 1000U) << "nothing is remembered";
}

TEST(Planner, BackendsShareWhatAPolicySaysWhenOneOfThemChanges)
{
    World world;
    world.add(gateway("gw", {listener("web", "HTTP", 80)})).add(service("web")).add(config_map("ca"));
    world.add(tls_policy("p", "web")).add(http_route("a")).add(http_route("b"));
    Planner planner;
    const Plan before = planner.plan(world.objects, world.facts);
    world.objects.http_routes.edit(1).rules[0].request_timeout_ms = 5;
    const Plan after = planner.plan(world.objects, world.facts);
    const auto tls_of = [](const Plan& plan, std::size_t rule) {
        return plan.http.at(0).listeners.at(0).rules.at(rule)->backends.at(0).tls.get();
    };
    ASSERT_NE(tls_of(before, 0), nullptr);
    EXPECT_EQ(tls_of(after, 0), tls_of(before, 0));
    EXPECT_EQ(tls_of(after, 1), tls_of(before, 0));
}

// By address: the same one is no equal one.
std::vector<const HttpRule*> rules_of(const Plan& plan)
{
    std::vector<const HttpRule*> rules;
    for (const Shared<HttpRule>& rule : plan.http.at(0).listeners.at(0).rules)
        rules.push_back(rule.get());
    return rules;
}

TEST(Planner, MakesAnewOnlyWhatAChangeCanTouch)
{
    World world;
    world.add(gateway("gw", {listener("web", "HTTP", 80)}));
    for (const char* name : {"a", "b", "c"})
        world.add(service(name)).add(http_route(name, {parent("gw")}, {}, {rule({backend(name)})}));
    Planner planner;
    const auto before = rules_of(planner.plan(world.objects, world.facts));
    const Plan held = planner.plan(world.objects, world.facts);  // so that no address is used again
    EXPECT_EQ(rules_of(held), before);

    world.objects.http_routes.edit(1).rules[0].request_timeout_ms = 5;
    const Plan edited = planner.plan(world.objects, world.facts);
    EXPECT_EQ(rules_of(edited)[0], before[0]);
    EXPECT_NE(rules_of(edited)[1], before[1]);
    EXPECT_EQ(rules_of(edited)[2], before[2]);

    world.add(slice("c", {endpoint("10.0.0.1")}));
    const Plan moved = planner.plan(world.objects, world.facts);
    EXPECT_EQ(rules_of(moved)[0], before[0]);
    EXPECT_EQ(rules_of(moved)[1], rules_of(edited)[1]);
    EXPECT_NE(rules_of(moved)[2], before[2]);

    world.facts.addresses.push_back(ip("192.0.2.9"));
    EXPECT_NE(rules_of(planner.plan(world.objects, world.facts))[0], before[0])
        << "in a cluster it could be an endpoint's";
}

}  // namespace
}  // namespace sluice::plan::test
