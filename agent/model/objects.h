// SPDX-License-Identifier: Apache-2.0
// All current objects of one source: what a source delivers and plan reads. Whole states, never events.
#pragma once

#include "agent/model/config.h"
#include "agent/model/core.h"
#include "agent/model/gateway.h"
#include "agent/model/policy.h"
#include "agent/model/route.h"
#include "agent/model/shared_list.h"

namespace sluice::model {

// Each list is sorted by (namespace, name), and holds no duplicate.
struct Objects {
    SharedList<GatewayClass> gateway_classes;
    SharedList<Gateway> gateways;
    SharedList<HttpRoute> http_routes;
    SharedList<GrpcRoute> grpc_routes;
    SharedList<TlsRoute> tls_routes;
    SharedList<TcpRoute> tcp_routes;
    SharedList<UdpRoute> udp_routes;
    SharedList<BackendTlsPolicy> backend_tls_policies;
    SharedList<ReferenceGrant> reference_grants;
    SharedList<Namespace> namespaces;
    SharedList<Service> services;
    SharedList<EndpointSlice> endpoint_slices;
    SharedList<Secret> secrets;
    SharedList<ConfigMap> config_maps;
    SharedList<NodeGatewayConfig> node_gateway_configs;
    SharedList<Node> nodes;
};

}  // namespace sluice::model
