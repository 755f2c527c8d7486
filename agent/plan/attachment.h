// SPDX-License-Identifier: Apache-2.0
// Decides to which listeners a route attaches, by parentRef: sectionName, port, kind, namespace and hostname.
#pragma once

#include <unordered_map>
#include <vector>

#include "agent/plan/hostname.h"
#include "agent/plan/route_room.h"
#include "agent/plan/state.h"

namespace sluice::plan {

class Attacher {
public:
    // Both must outlive it. `gateways` may not be added to meanwhile.
    Attacher(std::vector<GatewayState>& gateways, const model::Objects& objects, const RouteEntriesMax& entries_max);

    // The parentRefs that name a Gateway of ours, each once, the namespace filled in.
    [[nodiscard]] std::vector<ParentState> our_parents(const model::RouteCommon& route) const;

    // Attaches to every listener that a parent selects and that lets the route in, and sets each parent's verdict.
    // Routes must come from old to young, and stay where they are. A route that is not `supported` attaches nowhere.
    void attach(RouteState& route);
    // The same, in the same order, for a route that was attached before to the same Gateways, without looking for its
    // listeners again. False: other routes have changed what it may have, and attach() must follow.
    [[nodiscard]] bool attach_again(const RouteState& route);

private:
    // What a route asks for, wherever it attaches.
    struct Demand {
        HostnameSet hostnames;  // in lower case; not looked at where there is no room
        std::size_t matches = 0;
        std::size_t regexes = 0;  // of the matches
        [[nodiscard]] std::size_t entries(std::size_t hosts) const;
    };
    [[nodiscard]] Demand demand_of(const RouteState& route);
    [[nodiscard]] bool finds_no_room(const RouteState& route);
    [[nodiscard]] GatewayState* find(const model::ParentReference& ref) const;
    [[nodiscard]] bool allows_namespace(const GatewayState& gateway, const ListenerState& listener,
                                        const std::string& ns);
    [[nodiscard]] Claim claim(const RouteState& route, const Reach& reach);
    [[nodiscard]] bool is_taken(const ListenerState& listener, const RouteState& route,
                                const std::vector<ServedHost>& hosts);
    void claim_hosts(const ListenerState& listener, const RouteState& route, const std::vector<ServedHost>& hosts);
    void attach_to(GatewayState& gateway, const Demand& demand, RouteState& route, ParentState& parent);
    [[nodiscard]] Claim reach(GatewayState& gateway, std::size_t listener, std::vector<ServedHost> hosts,
                              const Demand& demand, RouteState& route);
    void add_attachments(const RouteState& route);
    [[nodiscard]] ListenerState& listener_of(const Reach& reach) const
    {
        return all_[reach.gateway].listeners[reach.listener];
    }

    std::vector<GatewayState>& all_;
    std::unordered_map<NameView, GatewayState*, NameViewHash> gateways_;
    std::unordered_map<std::string_view, const model::Labels*> namespaces_;
    // Answers of label selectors: the same few pairs come up for thousands of routes.
    std::unordered_map<const ListenerState*, std::unordered_map<std::string, bool>> selected_;
    // The hosts that HTTPRoutes and GRPCRoutes have on each listener. Kept only where there are both.
    struct KindHosts {
        HostnameSet http;
        HostnameSet grpc;
    };
    bool has_both_kinds_;
    std::unordered_map<const ListenerState*, KindHosts> kind_hosts_;
    RouteRoom room_;
};

}  // namespace sluice::plan
