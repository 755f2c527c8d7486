#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The share of an invalid backend is refused: TCP by a reset at once, UDP without an answer; the rest is served.
BUILD=$1 variant=$2 test_name=refused_share-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2
put_gateway tcp:7000:TCP udp:7000:UDP idle:7001:TCP
put_tcp_route half tcp b1:50 missing:50
put_udp_route half-udp udp b1:50 missing:50
start_sluice --l4 "$variant"

half_refused() {
    local result
    result=$(client connections --to "$1:7000" -n 1000)
    expect "$result" '.total == 1000 and .failed > 400 and .failed < 600 and .names.b1 == 1000 - .failed' "TCP to $1"
    # A lost SYN would be sent again after a second: a refusal is an answer.
    expect "$result" '(.outcomes | keys - ["refused", "reset"]) == [] and .max_ms < 900' "TCP to $1 is refused at once"
    result=$(client udp --to "$1:7000" -n 200 -c 50 --timeout-ms 400)
    expect "$result" '.failed > 50 and .failed < 150 and .names == {"b1": (200 - .failed)}' "UDP to $1"
    expect "$(client connections --to "$1:7001" -n 20)" '.outcomes | (.refused // 0) + (.reset // 0) == 20' "a listener without a route, $1"
}
both_families half_refused
[ "$variant" = proxy ] || wait_until 5 "refusals are counted by reason" status_is '[.listeners[].counters.reasons | to_entries[] | .value] | add > 800'

# The backend appears: the share is served.
apply_and_wait put_tcp_route half tcp b1:50 b2:50
expect "$(client connections --to $vip4:7000 -n 200)" '.failed == 0 and (.names | keys) == ["b1", "b2"]' "after the repair"
stop_sluice
