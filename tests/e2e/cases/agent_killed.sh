#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the agents: no forwarded connection is lost, and HTTP is back as soon as they are.
. "$(dirname "$0")/../lib.sh"
begin_case

gateway killed | apply
wait_programmed default killed
vip=$(gateway_address default killed)
wait_serves "$vip"
owner=$(owner_of "$vip")
background hold hold --to "$vip:9000" -n 100 --interval-ms 20
hold=$background_pid
wait_until 10 "connections are kept" lines_above hold 200
for node in "${nodes[@]}"; do
    pid=$(agents "$node")
    [ -n "$pid" ] || fail "no agent runs on $node"
    kill -KILL "$pid"
done
wait_until 10 "HTTP is back" answers "$vip"
wait_until 10 "connections go on" lines_above hold $(($(jq .lines "$tmp/hold.json") + 1000))
[ "$(owner_of "$vip")" = "$owner" ] || fail "the address went from $owner to $(owner_of "$vip")"
expect "$(finish "$hold" hold)" '.total == 100 and .failed == 0 and (.names | length) == 2' "kept connections"
rolled_out
