#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# UDP flows are spread by weight, each stays with its backend, and answers come from the address that was asked.
BUILD=$1 variant=$2 test_name=udp_forward-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2 b3
put_gateway udp:7000:UDP
put_udp_route split udp b1:70 b2:30
start_sluice --l4 "$variant"
expect_path udp "$variant"

spread() {
    local result
    result=$(client udp --to "$1:7000" -n 2000 -c 10)
    expect "$result" '.total == 2000 and .failed == 0 and (.names | keys) == ["b1", "b2"]' "flows to $1"
    expect_share "$result" b1 70 5
    [ "$variant" = proxy ] || expect "$result" ".clients == {\"$2\": 2000}" "client address by $1"
}
both_families spread

# A backend that left the route gets no datagram any more, at once.
apply_and_wait put_udp_route split udp b2:1
moved() { expect "$(client udp --to "$1:7000" -n 200)" '.failed == 0 and .names == {"b2": 200}' "after b1 left, $1"; }
both_families moved
stop_sluice
