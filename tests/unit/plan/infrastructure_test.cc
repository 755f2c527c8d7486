// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/infrastructure.h"

#include <set>

#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

using model::InfrastructureService;
using State = InfrastructureService::State;

struct ClusterWorld : World {
    ClusterWorld() { facts.cluster = true; }
};

// The rule of a Service's name, RFC 1035.
bool is_service_name(const std::string& name)
{
    const auto inner = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    return !name.empty() && name.size() <= 63 && name.front() >= 'a' && name.front() <= 'z' && name.back() != '-' &&
           std::ranges::all_of(name, inner);
}

TEST(Infrastructure, AGatewayHasAServiceWithItsLabelsAnnotationsAndPorts)
{
    ClusterWorld world;
    model::Gateway gw = gateway("gw", {listener("web", "HTTP", 80), listener("api", "HTTP", 80, "x.org"),
                                       listener("dns", "UDP", 53), listener("tcp-dns", "TCP", 53)});
    gw.infrastructure_labels = {{"team", "blue"}, {kGatewayNameLabel, "stolen"}};
    gw.infrastructure_annotations = {{"example.com/note", "yes"}};
    const Plan plan = world.add(gw).plan();
    const std::string digest = plan.infrastructure.at(0).annotations.at(kAppliedAnnotation);
    const InfrastructureService expected{
        .ns = "default",
        .name = "gw-sluice",
        .gateway = "gw",
        .labels = {{"team", "blue"}, {kGatewayNameLabel, "gw"}, {kManagedByLabel, kManagedBy}},
        .annotations = {{"example.com/note", "yes"}, {kAppliedAnnotation, digest}},
        .ports = {{"tcp-53", "TCP", 53}, {"tcp-80", "TCP", 80}, {"udp-53", "UDP", 53}},
    };
    EXPECT_EQ(plan.infrastructure, std::vector<InfrastructureService>{expected});
}

TEST(Infrastructure, OnlyWhatIsMissingOrOutdatedAndOursIsToBeWritten)
{
    ClusterWorld world;
    model::Gateway gw = gateway("gw", {listener("web", "HTTP", 80)});
    gw.infrastructure_labels = {{"team", "blue"}};
    world.add(gw);
    const auto state = [&] { return world.plan().infrastructure.at(0).state; };
    EXPECT_EQ(state(), State::Missing);
    model::Service service;
    service.meta.ns = "default";
    service.meta.name = "gw-sluice";
    service.ports = {{"tcp-80", "TCP", 80, ""}};
    world.add(service);
    EXPECT_EQ(state(), State::Foreign);
    const InfrastructureService wanted = world.plan().infrastructure.at(0);
    model::Service& is = world.objects.services.edit(world.objects.services.size() - 1);
    is.meta.labels = wanted.labels;
    is.meta.annotations = wanted.annotations;
    is.meta.labels["of"] = "another controller";
    EXPECT_EQ(state(), State::Current);
    is.ports[0].port = 81;
    EXPECT_EQ(state(), State::Outdated);
    is.ports[0].port = 80;
    world.objects.gateways.edit(0).infrastructure_labels.clear();
    EXPECT_EQ(state(), State::Outdated);
}

TEST(Infrastructure, ThereIsNoneFromFilesForOthersAndForWhatIsNotAccepted)
{
    World files;
    EXPECT_TRUE(files.add(gateway("gw", {listener("web", "HTTP", 80)})).plan().infrastructure.empty());
    ClusterWorld world;
    model::Gateway foreign = gateway("foreign", {listener("web", "HTTP", 80)});
    foreign.gateway_class_name = "other";
    model::Gateway tuned = gateway("tuned", {listener("web", "HTTP", 80)});
    tuned.has_parameters_ref = true;
    EXPECT_TRUE(world.add(foreign).add(tuned).plan().infrastructure.empty());
}

TEST(Infrastructure, EveryGatewayNameGivesAServiceNameOfItsOwn)
{
    const std::string longest = "a" + std::string(252, 'b');
    const std::string long_dotted = std::string(50, 'a') + "." + std::string(50, 'b') + "." + std::string(50, 'c');
    const std::string names[] = {"gw",
                                 "gw.a",
                                 "gw-a",
                                 "1st",
                                 "gw-1st",
                                 std::string(56, 'x'),
                                 std::string(57, 'x'),
                                 longest,
                                 longest.substr(0, 252),
                                 long_dotted,
                                 std::string(53, 'a') + "--------b"};
    ClusterWorld world;
    for (const std::string& name : names)
        world.add(gateway(name, {listener("web", "HTTP", 80)}));
    const Plan plan = world.plan();
    std::set<std::string> seen;
    std::set<std::string> labels;
    for (const InfrastructureService& service : plan.infrastructure) {
        EXPECT_TRUE(is_service_name(service.name)) << service.name;
        seen.insert(service.name);
        const std::string& label = service.labels.at(kGatewayNameLabel);
        EXPECT_LE(label.size(), 63U);
        EXPECT_NE(label.back(), '-');
        EXPECT_EQ(label == service.gateway, service.gateway.size() <= 63) << label;
        labels.insert(label);
    }
    EXPECT_EQ(seen.size(), std::size(names));
    EXPECT_EQ(labels.size(), std::size(names));
    EXPECT_EQ(world.plan().infrastructure, plan.infrastructure);
}

TEST(Infrastructure, TwoGatewaysWhoseNamesRunTogetherHaveTwoServices)
{
    ClusterWorld world;
    model::GatewayClass dashed = world.objects.gateway_classes[0];
    dashed.meta.name = "b-sluice";
    model::Gateway one = gateway("a", {listener("web", "HTTP", 80)}, {}, "2026-01-01T00:00:00Z");
    one.gateway_class_name = "b-sluice";
    const Plan plan = world.add(dashed)
                          .add(one)
                          .add(gateway("a-b", {listener("web", "HTTP", 80)}, {}, "2026-01-02T00:00:00Z"))
                          .plan();
    ASSERT_EQ(plan.infrastructure.size(), 2U);
    EXPECT_EQ(plan.infrastructure[0].name, "a-b-sluice");
    EXPECT_EQ(plan.infrastructure[0].gateway, "a");
    EXPECT_TRUE(plan.infrastructure[1].name.starts_with("a-b-sluice-"));
    EXPECT_TRUE(is_service_name(plan.infrastructure[1].name));
}

}  // namespace
}  // namespace sluice::plan::test
