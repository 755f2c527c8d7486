#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The node itself reaches its Gateway's addresses, whatever path serves others.
BUILD=$1 variant=$2 test_name=host_local-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2
put_gateway web:80:HTTP tcp:7000:TCP udp:7000:UDP
put_http_route web web example.com / b1:1
put_tcp_route tcp tcp b1:90 b2:10
put_udp_route udp udp b1:1 b2:1
start_sluice --l4 "$variant"

from_node() {
    local result
    result=$(client_in node connections --to "$1:7000" -n 1000)
    expect "$result" '.failed == 0 and (.names | keys) == ["b1", "b2"]' "TCP to $1"
    expect_share "$result" b1 90 5
    expect "$(client_in node udp --to "$1:7000" -n 200)" '.failed == 0 and (.names | keys) == ["b1", "b2"]' "UDP to $1"
    expect "$(client_in node http --to "$1:80" -n 200)" '.failed == 0 and .names == {"b1": 200}' "HTTP to $1"
}
both_families from_node
stop_sluice
