#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A rolling update of the DaemonSet under 100 requests/s and 100 kept TCP connections: none fails, none is cut.
. "$(dirname "$0")/../lib.sh"
begin_case

gateway rolled | apply
wait_programmed default rolled
vip=$(gateway_address default rolled)
wait_serves "$vip"
background hold hold --to "$vip:9000" -n 100 --interval-ms 50
hold=$background_pid
background kept http --to "$vip:80" -n 0 -c 5 --interval-ms 100
kept=$background_pid
background fresh http --to "$vip:80" -n 0 -c 5 --interval-ms 100 --keep no
fresh=$background_pid
wait_until 10 "connections are kept" lines_above hold 200
wait_until 10 "requests" total_above kept 50
begin=$SECONDS
before=$(for node in "${nodes[@]}"; do agents "$node"; done)
kubectl rollout restart -n sluice-system ds/sluice >/dev/null
rolled_out
for pid in $before; do wait_until 60 "the agent before ends" has_ended "$pid"; done
took=$((SECONDS - begin))
for node in "${nodes[@]}"; do
    [ "$(agents "$node" | wc -l)" = 1 ] || fail "agents on $node after the update: $(agents "$node")"
done
[ "$(wc -w <<<"$before")" = ${#nodes[@]} ] || fail "agents before the update: $before"
wait_until 90 "3,000 requests of each kind" total_above kept 3000
wait_until 90 "3,000 requests of each kind" total_above fresh 3000
kept=$(finish "$kept" kept)
fresh=$(finish "$fresh" fresh)
expect "$kept" '.failed == 0' "requests on kept connections"
expect "$fresh" '.failed == 0' "requests on new connections"
expect "$(finish "$hold" hold)" '.total == 100 and .failed == 0' "kept TCP connections"
say "the update took $took s; $(jq .total <<<"$kept") + $(jq .total <<<"$fresh") requests, 0 failed (slowest: $(jq .max_ms <<<"$kept"), $(jq .max_ms <<<"$fresh") ms)"
