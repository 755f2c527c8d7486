// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/plan/builders.h"

namespace sluice::plan::test {
namespace {

using From = model::AllowedRoutes::From;

model::Gateway mixed_gateway()
{
    return gateway("gw", {listener("web", "HTTP", 80), listener("alt", "HTTP", 8080, "*.example.com"),
                          listener("tcp", "TCP", 9000), listener("udp", "UDP", 9000)});
}

TEST(Attachment, AHttpRouteAttachesToTheListenersItsParentRefSelects)
{
    struct Row {
        const char* claim;
        model::ParentReference parent;
        const char* accepted;
        std::uint32_t web, alt, tcp, udp;
    };
    const Row rows[] = {
        {"no selector: every HTTP listener", parent("gw"), "True/Accepted", 1, 1, 0, 0},
        {"sectionName selects one", parent("gw", "alt"), "True/Accepted", 0, 1, 0, 0},
        {"port selects one", parent("gw", nullptr, 80), "True/Accepted", 1, 0, 0, 0},
        {"sectionName and port agree", parent("gw", "web", 80), "True/Accepted", 1, 0, 0, 0},
        {"sectionName and port disagree", parent("gw", "web", 8080), "False/NoMatchingParent", 0, 0, 0, 0},
        {"unknown sectionName", parent("gw", "none"), "False/NoMatchingParent", 0, 0, 0, 0},
        {"unknown port", parent("gw", nullptr, 81), "False/NoMatchingParent", 0, 0, 0, 0},
        {"a TCP listener by name", parent("gw", "tcp"), "False/NotAllowedByListeners", 0, 0, 0, 0},
        {"TCP and UDP listeners by port", parent("gw", nullptr, 9000), "False/NotAllowedByListeners", 0, 0, 0, 0},
    };
    for (const Row& row : rows) {
        World world;
        const Plan plan = world.add(mixed_gateway()).add(http_route("r", {row.parent})).plan();
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), row.accepted) << row.claim;
        EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, row.web) << row.claim;
        EXPECT_EQ(listener_of(plan, "gw", "alt").attached_routes, row.alt) << row.claim;
        EXPECT_EQ(listener_of(plan, "gw", "tcp").attached_routes, row.tcp) << row.claim;
        EXPECT_EQ(listener_of(plan, "gw", "udp").attached_routes, row.udp) << row.claim;
    }
}

TEST(Attachment, ATcpRouteNeverReachesAUdpOrHttpListener)
{
    World world;
    world.add(mixed_gateway())
        .add(l4_route<model::TcpRoute>("t"))
        .add(l4_route<model::UdpRoute>("u", {parent("gw", "tcp")}));
    const Plan plan = world.plan();
    EXPECT_EQ(route_outcome(plan, "TCPRoute", "t", "Accepted"), "True/Accepted");
    EXPECT_EQ(route_outcome(plan, "UDPRoute", "u", "Accepted"), "False/NotAllowedByListeners");
    EXPECT_EQ(listener_of(plan, "gw", "tcp").attached_routes, 1U);
    EXPECT_EQ(listener_of(plan, "gw", "udp").attached_routes, 0U);
    EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, 0U);
}

TEST(Attachment, AllowedNamespacesDecideWhoMayAttach)
{
    struct Row {
        const char* claim;
        From from;
        const char* ns;
        bool allowed;
    };
    const Row rows[] = {
        {"Same lets its own in", From::Same, "default", true},
        {"Same keeps others out", From::Same, "team", false},
        {"All lets others in", From::All, "team", true},
        {"None keeps its own out", From::None, "default", false},
        {"Selector lets a labelled in", From::Selector, "team", true},
        {"Selector keeps the rest out", From::Selector, "default", false},
    };
    for (const Row& row : rows) {
        World world;
        model::Gateway gw = gateway("gw", {listener("web", "HTTP", 80)});
        gw.listeners[0].allowed_routes.from = row.from;
        gw.listeners[0].allowed_routes.selector.match_labels = {{"tier", "front"}};
        model::HttpRoute route = http_route("r");
        route.meta.ns = row.ns;
        route.parent_refs[0].ns = "default";
        model::Namespace team;
        team.meta = meta("team", "");
        team.meta.labels = {{"tier", "front"}};
        const Plan plan = world.add(gw).add(route).add(team).plan();
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"),
                  row.allowed ? "True/Accepted" : "False/NotAllowedByListeners")
            << row.claim;
        EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, row.allowed ? 1U : 0U) << row.claim;
    }
}

TEST(Attachment, ANamespaceWithoutAnObjectStillHasItsNameLabel)
{
    World world;
    model::Gateway gw = gateway("gw", {listener("web", "HTTP", 80)});
    gw.listeners[0].allowed_routes.from = From::Selector;
    gw.listeners[0].allowed_routes.selector.match_labels = {{"kubernetes.io/metadata.name", "team"}};
    model::HttpRoute route = http_route("r");
    route.meta.ns = "team";
    route.parent_refs[0].ns = "default";
    EXPECT_EQ(route_outcome(world.add(gw).add(route).plan(), "HTTPRoute", "r", "Accepted"), "True/Accepted");
}

TEST(Attachment, HostnamesWithoutIntersectionDoNotAttach)
{
    World world;
    world.add(mixed_gateway())
        .add(http_route("out", {parent("gw", "alt")}, {"other.org"}))
        .add(http_route("in", {parent("gw", "alt")}, {"other.org", "a.example.com"}));
    const Plan plan = world.plan();
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "out", "Accepted"), "False/NoMatchingListenerHostname");
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "in", "Accepted"), "True/Accepted");
    EXPECT_EQ(listener_of(plan, "gw", "alt").attached_routes, 1U);
}

TEST(Attachment, AllowedKindsNarrowTheProtocolsKinds)
{
    World world;
    model::Gateway gw = gateway("gw", {listener("web", "HTTP", 80)});
    gw.listeners[0].allowed_routes.kinds = {{model::kGatewayGroup, "GRPCRoute"}};
    const Plan plan = world.add(gw).add(http_route("r")).plan();
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "r", "Accepted"), "False/NotAllowedByListeners");
    EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, 0U);
}

TEST(Attachment, EachParentRefHasItsOwnEntryWithTheNamespaceFilledIn)
{
    World world;
    world.add(mixed_gateway()).add(http_route("r", {parent("gw", "web"), parent("gw", "none"), parent("gw", "web")}));
    const Plan plan = world.plan();
    const auto* status = find_status(plan, "HTTPRoute", "r");
    ASSERT_NE(status, nullptr);
    ASSERT_EQ(status->parents.size(), 2U);
    EXPECT_EQ(status->parents[0].parent.ns, "default");
    EXPECT_EQ(outcome(status->parents[0].conditions, "Accepted"), "True/Accepted");
    EXPECT_EQ(outcome(status->parents[1].conditions, "Accepted"), "False/NoMatchingParent");
    EXPECT_EQ(status->parents[0].conditions[0].observed_generation, 7);
}

TEST(Attachment, ARouteThatReachesAListenerTwiceCountsOnce)
{
    World world;
    const Plan plan = world.add(mixed_gateway()).add(http_route("r", {parent("gw"), parent("gw", "web")})).plan();
    EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, 1U);
    EXPECT_EQ(plan.http.at(0).listeners.at(0).rules.size(), 1U);
}

TEST(Attachment, ParentsThatAreNotOursLeaveNoEntry)
{
    World world;
    model::Gateway foreign = gateway("foreign", {listener("web", "HTTP", 81)});
    foreign.gateway_class_name = "other";
    model::ParentReference mesh = parent("gw");
    mesh.group = "";
    mesh.kind = "Service";
    model::ParentReference elsewhere = parent("gw");
    elsewhere.ns = "elsewhere";
    world.add(mixed_gateway())
        .add(foreign)
        .add(http_route("r", {parent("foreign"), parent("missing"), mesh, elsewhere}));
    const Plan plan = world.plan();
    EXPECT_EQ(find_status(plan, "HTTPRoute", "r"), nullptr);
    EXPECT_EQ(listener_of(plan, "gw", "web").attached_routes, 0U);
    EXPECT_EQ(plan.others, (std::vector<model::ObjectKey>{{"HTTPRoute", "default", "r"}}));
}

TEST(Attachment, MessagesNameTheGatewayAndWhatItHas)
{
    World world;
    const Plan plan = world.add(mixed_gateway()).add(http_route("r", {parent("gw", "none")})).plan();
    const std::string text = route_message(plan, "HTTPRoute", "r", "Accepted");
    EXPECT_NE(text.find("default/gw has no listener with sectionName \"none\""), std::string::npos) << text;
    EXPECT_NE(text.find("web (HTTP, port 80"), std::string::npos) << text;
}

// On four listeners with two hostnames and three matches: 24 entries.
model::HttpRoute large_route(const std::string& name)
{
    const auto path = [](const char* value) { return match(model::PathMatchType::PathPrefix, value); };
    return http_route(name, {parent("gw")}, {"a.example.com", "b.example.com"},
                      {rule({backend("web")}, {path("/a"), path("/b")}), rule({backend("web")}, {path("/c")})});
}

TEST(Attachment, RoutesHaveAsMuchRoomAsTheirNamespaceAndTheYoungestGoWithout)
{
    std::vector<model::Listener> listeners;
    for (std::uint16_t i = 0; i < 4; ++i) {
        listeners.push_back(listener("l" + std::to_string(i), "HTTP", static_cast<std::uint16_t>(8000 + i)));
        listeners.back().allowed_routes.from = From::All;
    }
    World world;
    world.facts.route_entries_max = {.all = 100, .of_namespace = 40};
    model::HttpRoute neighbour = http_route("n", {parent("gw")}, {"n.example.com"});
    neighbour.meta.ns = "other";
    neighbour.parent_refs[0].ns = "default";
    neighbour.meta.creation_timestamp = "2026-01-01T00:00:00Z";  // the youngest
    model::HttpRoute elsewhere = http_route("x", {parent("gw", "l0")}, {"a.example.com"});
    elsewhere.rules[0].filters.types = {"URLRewrite"};
    world.add(gateway("gw", listeners)).add(large_route("a")).add(large_route("b")).add(large_route("c"));
    world.add(neighbour).add(elsewhere);

    Planner planner;
    for (int turn = 0; turn < 2; ++turn) {  // as it is found out, and as it is remembered
        const Plan plan = planner.plan(world.objects, world.facts);
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "a", "Accepted"), "True/Accepted");
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "b", "Accepted"), "True/Accepted");
        const std::string note = route_message(plan, "HTTPRoute", "b", "Accepted");
        EXPECT_NE(note.find("not served by l2, l3"), std::string::npos) << note;
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "c", "Accepted"), "False/TooManyMatches");
        const std::string reason = route_message(plan, "HTTPRoute", "c", "Accepted");
        EXPECT_NE(reason.find("40 of namespace \"default\""), std::string::npos) << reason;
        EXPECT_EQ(route_outcome(plan, "HTTPRoute", "n", "Accepted"), "True/Accepted");
        EXPECT_NE(route_outcome(plan, "HTTPRoute", "x", "Accepted"), "False/TooManyMatches") << "asks for no room";
        EXPECT_EQ(listener_of(plan, "gw", "l1").attached_routes, 3U);
        EXPECT_EQ(listener_of(plan, "gw", "l2").attached_routes, 2U);
    }
    world.objects.http_routes.erase(world.objects.http_routes.begin());
    const Plan plan = planner.plan(world.objects, world.facts);
    EXPECT_EQ(route_message(plan, "HTTPRoute", "b", "Accepted").find("not served"), std::string::npos);
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "c", "Accepted"), "True/Accepted");
    EXPECT_EQ(plan.statuses, make_plan(world.objects, world.facts).statuses);
}

TEST(Attachment, ARegularExpressionTakesSixteenEntriesMoreWhateverTheHostnames)
{
    struct Row {
        const char* claim;
        model::HttpMatch match;
        std::vector<std::string> hostnames;
        std::size_t entries;
    };
    using enum model::PathMatchType;
    const auto regex = model::ValueMatchType::RegularExpression;
    model::HttpMatch exact;
    exact.headers = {{model::ValueMatchType::Exact, "h", "v"}};
    model::HttpMatch header;
    header.headers = {{regex, "h", "v"}, {regex, "h2", "v"}};
    model::HttpMatch query;
    query.query_params = {{regex, "q", "v"}};
    model::HttpMatch all = header;
    all.path = {RegularExpression, "/a+"};
    all.query_params = query.query_params;
    const Row rows[] = {
        {"none", match(PathPrefix, "/a"), {}, 1},
        {"none in an exact header", exact, {}, 1},
        {"path", match(RegularExpression, "/a+"), {}, 17},
        {"headers", header, {}, 33},
        {"query parameter", query, {}, 17},
        {"everywhere", all, {}, 65},
        {"two hostnames", match(RegularExpression, "/a+"), {"a.example.com", "b.example.com"}, 18},
    };
    for (const Row& row : rows) {
        for (const std::size_t room : {row.entries, row.entries - 1}) {
            World world;
            world.facts.route_entries_max = {.all = 1000, .of_namespace = room};
            world.add(gateway("gw", {listener("web", "HTTP", 80)}));
            world.add(http_route("r", {parent("gw")}, row.hostnames, {rule({backend("web")}, {row.match})}));
            EXPECT_EQ(route_outcome(world.plan(), "HTTPRoute", "r", "Accepted"),
                      room == row.entries ? "True/Accepted" : "False/TooManyMatches")
                << row.claim;
        }
    }
}

TEST(Attachment, TheRegularExpressionsOfAGrpcRouteCountAsWell)
{
    const auto regex = model::ValueMatchType::RegularExpression;
    model::GrpcMatch header = grpc_match("a.B", "Get");
    header.headers = {{regex, "h", "v"}};
    const struct {
        const char* claim;
        model::GrpcMatch match;
        std::size_t entries;
    } rows[] = {
        {"none", grpc_match("a.B", "Get"), 1},
        {"service and method, in one", grpc_match("a.*", "G.*", regex), 17},
        {"a method of every service", grpc_match("", "Get"), 17},
        {"header", header, 17},
    };
    for (const auto& row : rows) {
        for (const std::size_t room : {row.entries, row.entries - 1}) {
            World world;
            world.facts.route_entries_max = {.all = 1000, .of_namespace = room};
            world.add(gateway("gw", {listener("web", "HTTP", 80)})).add(grpc_route("r", {}, {row.match}));
            EXPECT_EQ(route_outcome(world.plan(), "GRPCRoute", "r", "Accepted"),
                      room == row.entries ? "True/Accepted" : "False/TooManyMatches")
                << row.claim;
        }
    }
}

TEST(Attachment, AllNamespacesTogetherHaveNoMoreRoomThanThereIs)
{
    World world;
    world.facts.route_entries_max = {.all = 10, .of_namespace = 8};
    model::Gateway open = gateway("gw", {listener("web", "HTTP", 80)});
    open.listeners[0].allowed_routes.from = From::All;
    model::HttpRoute other = large_route("o");
    other.meta.ns = "other";
    other.parent_refs[0].ns = "default";
    other.meta.creation_timestamp = "2026-01-01T00:00:00Z";
    const Plan plan = world.add(open).add(large_route("a")).add(other).plan();
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "a", "Accepted"), "True/Accepted");
    EXPECT_EQ(route_outcome(plan, "HTTPRoute", "o", "Accepted"), "False/TooManyMatches");
}

}  // namespace
}  // namespace sluice::plan::test
