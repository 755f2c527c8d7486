// SPDX-License-Identifier: Apache-2.0
// The applier on the real maps.
#include <bpf/bpf.h>
#include <net/if.h>
#include <netinet/in.h>

#include "base/unique_fd.h"
#include "tests/bpf/applier_rig.h"

namespace sluice::apply {
namespace {

TEST_F(ApplierOnRealMaps, TheGenerationRisesWithEveryChangeAndOnlyThen)
{
    Applier applier = make_applier();
    EXPECT_TRUE(apply(applier, plan_of({"198.51.100.1"})).in_kernel);
    const auto first = generation();
    (void)apply(applier, plan_of({"198.51.100.1"}));
    EXPECT_EQ(generation(), first);
    (void)apply(applier, plan_of({"198.51.100.1", "198.51.100.2"}));
    EXPECT_EQ(generation(), first + 1);
}

TEST_F(ApplierOnRealMaps, ANewAgentKeepsTheIdsAndWritesNothing)
{
    Applier before = make_applier();
    const auto ids = apply(before, plan_of({"198.51.100.1", "198.51.100.2"})).ids;
    const auto first = generation();
    Applier after = make_applier();
    EXPECT_EQ(apply(after, plan_of({"198.51.100.1", "198.51.100.2"})).ids, ids);
    EXPECT_EQ(generation(), first);
}

TEST_F(ApplierOnRealMaps, ARemovedEndpointDrainsUntilItsLastFlowIsGone)
{
    Applier applier = make_applier();
    (void)apply(applier, plan_of({"198.51.100.1", "198.51.100.2"}));
    std::uint32_t leaving = 0;
    for (const auto& [id, backend] : held())
        leaving = from_words(backend.addr_be).bytes()[15] == 2 ? id : leaving;
    sl_flow_key key{};
    key.proto = IPPROTO_UDP;
    sl_flow flow{};
    flow.backend_id = leaving;
    ASSERT_TRUE(dataplane_->tables().flows.set(key, flow));

    (void)apply(applier, plan_of({"198.51.100.1"}));
    EXPECT_EQ(backends(), (Backends{{1, false}, {2, true}}));
    EXPECT_EQ(*applier.collect_garbage(), 1U);
    ASSERT_TRUE(dataplane_->tables().flows.erase(key));
    EXPECT_EQ(*applier.collect_garbage(), 0U);
    EXPECT_EQ(backends(), (Backends{{1, false}}));
}

TEST_F(ApplierOnRealMaps, AUdpFlowLeavesABackendThatOnlyOtherListenersHaveNow)
{
    const auto plan_with = [](const std::vector<const char*>& endpoints) {
        plan::Plan plan = plan_of(endpoints);
        plan.l4.push_back(plan_of({"198.51.100.1"}, 54).l4.front());
        plan.l4.back().name = "default/g/other";
        return plan;
    };
    Applier applier = make_applier();
    const auto outcome = applier.apply(plan_with({"198.51.100.1"}), {});
    ASSERT_TRUE(outcome) << to_string(outcome.error());
    std::uint32_t shared = 0;
    for (const auto& [id, backend] : held())
        shared = id;
    sl_flow_key keys[2]{};
    for (std::size_t i = 0; i < 2; ++i) {
        keys[i].proto = IPPROTO_UDP;
        keys[i].client_port_be = htons(static_cast<std::uint16_t>(1'000 + i));
        sl_flow flow{};
        flow.backend_id = shared;
        flow.listener_id = outcome->l4[i].ids.front();
        ASSERT_TRUE(dataplane_->tables().flows.set(keys[i], flow));
    }
    ASSERT_TRUE(applier.apply(plan_with({"198.51.100.2"}), {}));
    EXPECT_EQ(backends(), (Backends{{1, false}, {2, false}}));
    EXPECT_FALSE(*dataplane_->tables().flows.get(keys[0])) << "its route has another backend now";
    EXPECT_TRUE(*dataplane_->tables().flows.get(keys[1])) << "the other listener's goes on";
}

TEST_F(ApplierOnRealMaps, ARingThatCannotBeReplacedGoesOnWithItsBackendsAndTheStatusSaysSo)
{
    Applier applier = make_applier();
    (void)apply(applier, plan_of({"198.51.100.1", "198.51.100.2"}));
    const UniqueFd rings(bpf_obj_get((bpffs_ + "/sluice/v2/" SL_MAP_RINGS).c_str()));
    ASSERT_EQ(bpf_map_freeze(rings.get()), 0);  // every later write is refused with EPERM

    const L4ListenerState state = apply(applier, plan_of({"198.51.100.3"}));
    EXPECT_FALSE(state.in_kernel);
    EXPECT_NE(state.problem, "");
    EXPECT_TRUE(applier.collect_garbage());
    EXPECT_EQ(backends(), (Backends{{1, false}, {2, false}, {3, false}}));
}

TEST_F(ApplierOnRealMaps, AFullBackendTableIsAProblemAndWhatServedKeepsServing)
{
    Applier applier = make_applier();
    const auto served = apply(applier, plan_of({"198.51.100.1", "198.51.100.2"})).ids;
    const auto& table = dataplane_->tables().backends;
    std::vector<std::uint32_t> others;
    for (std::uint32_t id = 1'000'000; others.size() < SL_BACKENDS_MAX - 2; ++id) {
        ASSERT_TRUE(table.set(id, sl_backend{}));
        others.push_back(id);
    }
    const auto read_ring = [&] { return *dataplane_->tables().rings.get(served.front()); };
    const auto ring_before = read_ring();

    const L4ListenerState full = apply(applier, plan_of({"198.51.100.1", "198.51.100.3"}));
    EXPECT_FALSE(full.in_kernel);
    EXPECT_NE(full.problem.find(SL_MAP_BACKENDS), std::string::npos) << full.problem;
    EXPECT_EQ(read_ring(), ring_before) << "no slot may name a backend that was not written";
    for (const std::uint32_t id : others)
        ASSERT_TRUE(table.erase(id));
    EXPECT_EQ(backends(), (Backends{{1, false}, {2, false}})) << "the ring still names both";

    EXPECT_TRUE(apply(applier, plan_of({"198.51.100.1", "198.51.100.3"})).in_kernel) << "there is room again";
    EXPECT_EQ(backends(), (Backends{{1, false}, {2, true}, {3, false}}));
}

TEST_F(ApplierOnRealMaps, AListenerBeyondTheIdsIsAProblemAndTheOthersServe)
{
    plan::Plan plan = plan_of({"198.51.100.1"});
    const plan::L4Listener one = plan.l4.front();
    plan.l4.clear();
    for (std::uint16_t i = 0; i < SL_LISTENER_IDS_MAX; ++i) {
        plan.l4.push_back(one);
        plan.l4.back().name += std::to_string(10'000 + i);
        plan.l4.back().port = static_cast<std::uint16_t>(1'000 + i);
    }
    Applier applier = make_applier();
    const auto outcome = applier.apply(plan, {{}, {}});
    ASSERT_TRUE(outcome);
    EXPECT_EQ(std::ranges::count_if(outcome->l4, &L4ListenerState::in_kernel), SL_LISTENER_IDS_MAX - 1);
    EXPECT_NE(outcome->l4.back().problem, "");
}

TEST_F(ApplierOnRealMaps, AnEndpointThatIsAListenerOfThisNodeIsRefusedAndTheStatusSaysSo)
{
    ASSERT_EQ(std::system("ip link set lo up && ip addr add 203.0.113.1/32 dev lo"), 0);
    Applier applier = make_applier();
    const auto state = apply(applier, plan_of({"198.51.100.1", "203.0.113.1"}, 9000, plan::Protocol::Tcp));
    ASSERT_EQ(std::system("ip addr del 203.0.113.1/32 dev lo"), 0);
    EXPECT_TRUE(state.in_kernel);
    EXPECT_EQ(state.problem, "");
    EXPECT_NE(state.relayed.find("203.0.113.1:9000"), std::string::npos) << state.relayed;
    ASSERT_EQ(state.ids.size(), 1U);
    const auto ring = **dataplane_->tables().rings.get(state.ids.front());
    EXPECT_NEAR(static_cast<double>(std::ranges::count(ring, SL_BACKEND_NONE)), SL_RING_SLOTS / 2.0, 1.0);
    EXPECT_EQ(held().size(), 1U);
}

TEST_F(ApplierOnRealMaps, ARemoteBackendSeesTheAddressThatTheNodeWouldConnectFrom)
{
    // Pods' networks of two other nodes: one behind the uplink, one through a tunnel whose address is another one.
    ASSERT_EQ(std::system("ip link add up0 type veth peer name up1 && ip link set up0 up && ip link set up1 up && "
                          "ip addr add 192.0.2.1/24 dev up0 && ip route add 198.51.100.0/25 via 192.0.2.9 && "
                          "ip link add tun0 type vxlan id 1 local 192.0.2.1 dstport 4789 && ip link set tun0 up && "
                          "ip addr add 203.0.113.65/32 dev tun0 && "
                          "ip route add 198.51.100.128/25 via 203.0.113.66 dev tun0 onlink"),
              0);
    Applier applier = make_applier();
    EXPECT_TRUE(apply(applier, plan_of({"198.51.100.1", "198.51.100.129"})).in_kernel);
    EXPECT_EQ(from_words(backend("198.51.100.1").source_be), *IpAddress::parse("192.0.2.1"));
    EXPECT_EQ(from_words(backend("198.51.100.129").source_be), *IpAddress::parse("203.0.113.65"));
    EXPECT_EQ(backend("198.51.100.129").flags & SL_BACKEND_LOCAL, 0);
    const auto tunnel = ::if_nametoindex("tun0");
    EXPECT_NE(std::ranges::find(attached_, tunnel), attached_.end()) << "answers come by the tunnel";

    ASSERT_EQ(std::system("ip route replace 198.51.100.128/25 via 192.0.2.9"), 0);
    EXPECT_TRUE(apply(applier, plan_of({"198.51.100.1", "198.51.100.129"})).in_kernel);
    EXPECT_EQ(from_words(backend("198.51.100.129").source_be), *IpAddress::parse("192.0.2.1")) << "as the routes go";
    (void)apply(applier, plan_of({"198.51.100.1", "198.51.100.129"}));
    EXPECT_EQ(std::ranges::find(attached_, tunnel), attached_.end()) << "nothing goes by it any more";
    ASSERT_EQ(std::system("ip link del tun0 && ip link del up0"), 0);
}

TEST_F(ApplierOnRealMaps, AFullListenerTableIsAProblemOfWhatDoesNotFitUntilSomethingGoes)
{
    const auto web_of = [](std::uint16_t first, std::size_t count) {
        plan::Plan plan;
        for (std::size_t i = 0; i < count; ++i) {
            plan::HttpPort& port = plan.http.emplace_back();
            port.addresses = {*IpAddress::parse("203.0.113.1")};
            port.port = static_cast<std::uint16_t>(first + i);
            port.listeners.push_back({.name = "default/g/l" + std::to_string(port.port),
                                      .hostname = "",
                                      .tls = {},
                                      .hosts = {},
                                      .rules = {}});
        }
        return plan;
    };
    Applier applier = make_applier();
    auto outcome = applier.apply(web_of(1'000, SL_LISTENERS_MAX), {{}, {}});
    ASSERT_TRUE(outcome) << to_string(outcome.error());
    EXPECT_TRUE(outcome->problems.empty());

    outcome = applier.apply(web_of(20'000, 2), {{}, {}});
    ASSERT_TRUE(outcome) << to_string(outcome.error());
    ASSERT_EQ(outcome->problems.size(), 2U);
    EXPECT_NE(outcome->problems.at("default/g/l20000").find(SL_MAP_LISTENERS), std::string::npos);
    outcome = applier.apply(web_of(20'000, 2), {{}, {}});
    ASSERT_TRUE(outcome) << to_string(outcome.error());
    EXPECT_TRUE(outcome->problems.empty()) << "what went made room";
    EXPECT_EQ(dataplane_->tables().listeners.entries()->size(), 2U);
}

}  // namespace
}  // namespace sluice::apply
