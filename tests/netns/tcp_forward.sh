#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# TCP flows are spread by weight, reach nobody else, and local backends see the client's own address (not through
# the proxy). 3,000 connections, so that chance alone leaves the ±3 points less than once in a million runs.
BUILD=$1 variant=$2 test_name=tcp_forward-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2 b3
put_gateway tcp:7000:TCP
put_tcp_route split tcp b1:90 b2:10
start_sluice --l4 "$variant"
expect_path tcp "$variant"

spread() {
    local result
    result=$(client connections --to "$1:7000" -n 3000 -c 10)
    expect "$result" '.total == 3000 and .failed == 0 and (.names | keys) == ["b1", "b2"]' "connections to $1"
    expect_share "$result" b1 90 3
    [ "$variant" = proxy ] || expect "$result" ".clients == {\"$2\": 3000}" "client address by $1"
}
both_families spread
wait_until 5 "every connection is counted" status_is '[.listeners[].counters.connections] | add == 6000'

bulk() { expect "$(client download --to "$1:7000" --bytes 200000000)" '.failed == 0' "download from $1"; }
both_families bulk
stop_sluice
