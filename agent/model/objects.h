// SPDX-License-Identifier: Apache-2.0
// All current objects of one source: what a source delivers and plan reads. Whole states, never events.
#pragma once

#include <vector>

#include "agent/model/config.h"
#include "agent/model/core.h"
#include "agent/model/gateway.h"
#include "agent/model/policy.h"
#include "agent/model/route.h"

namespace sluice::model {

// Each vector is sorted by (namespace, name), and holds no duplicate.
struct Objects {
    std::vector<GatewayClass> gateway_classes;
    std::vector<Gateway> gateways;
    std::vector<HttpRoute> http_routes;
    std::vector<GrpcRoute> grpc_routes;
    std::vector<TlsRoute> tls_routes;
    std::vector<TcpRoute> tcp_routes;
    std::vector<UdpRoute> udp_routes;
    std::vector<BackendTlsPolicy> backend_tls_policies;
    std::vector<ReferenceGrant> reference_grants;
    std::vector<Namespace> namespaces;
    std::vector<Service> services;
    std::vector<EndpointSlice> endpoint_slices;
    std::vector<Secret> secrets;
    std::vector<ConfigMap> config_maps;
    std::vector<NodeGatewayConfig> node_gateway_configs;
    std::vector<Node> nodes;
};

}  // namespace sluice::model
