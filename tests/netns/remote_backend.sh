#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A backend that is reached over the uplink gets the node's address as the source (its replies must come back here);
# a local one, of the same route, the client's.
BUILD=$1 variant=$2 test_name=remote_backend-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology remote

put_services b1 remote
put_gateway tcp:7000:TCP udp:7000:UDP far:7001:TCP
put_tcp_route mixed tcp b1:50 remote:50
put_udp_route mixed-udp udp b1:50 remote:50
put_tcp_route far far remote:1
start_sluice --l4 "$variant"
expect "$(status_json)" "[.attachments[].hook] | index(\"$variant\") != null" "attached"

both_sides() {
    local result node=$node4
    [[ $1 != *:* ]] || node=$node6
    expect_both_backends "$1" "$2" "$node"
    # In time too: packets lost or spoilt on the way make a transfer crawl, not fail.
    result=$(in_ns client timeout -s KILL 30 "$test_client" download --to "$1:7001" --bytes 200000000 || true)
    expect "$result" '.failed == 0 and .max_ms < 20000' "download from afar by $1"
}
both_families both_sides
stop_sluice
