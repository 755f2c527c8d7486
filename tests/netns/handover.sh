#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An update of the agent: the next one takes over while the one before it still runs. No request fails, on kept or on new
# connections, and no forwarded connection is cut; a successor that dies gives control back.
BUILD=$1 variant=$2 test_name=handover-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2
put_gateway web:80:HTTP tcp:7000:TCP
put_http_route web web example.com / b1:1
put_tcp_route tcp tcp b1:1
start_sluice --l4 "$variant" --keep-pinned

background hold client "$test_client" hold --to $vip4:7000 -n 64 --interval-ms 20
hold=$background_pid
background kept client "$test_client" http --to $vip4:80 -n 0 -c 10 --interval-ms 20 --stats "$tmp/kept.json"
kept=$background_pid
background fresh client "$test_client" connections --to $vip4:7000 -n 0 -c 4 --interval-ms 20 --stats "$tmp/fresh.json"
fresh=$background_pid
total_above() { [ "$(jq .total "$tmp/$1.json")" -gt "$2" ]; }
traffic_goes_on() {
    local name
    for name in kept fresh; do
        wait_until 10 "$name go on $1" total_above $name $(($(jq .total "$tmp/$name.json") + 100))
    done
}
wait_until 10 "requests" total_above kept 10
wait_until 10 "connections" total_above fresh 10

# The next agent, with an admin socket of its own; the one before it is told to end when it is ready.
succeed() {
    local before=$sluice_pid
    admin="unix:$tmp/admin-$1.sock"
    start_sluice --l4 "$variant" --keep-pinned
    traffic_goes_on "while two agents run"
    kill -TERM "$before"
    traffic_goes_on "after the handover"
    wait_until 20 "the agent before ends" has_ended "$before"
}
succeed 2
succeed 3
status_is ".l4 == \"$variant\"" >/dev/null || fail "the path is another: $(status_json | jq .l4)"
apply_and_wait put_tcp_route tcp tcp b2:1
expect "$(client connections --to $vip4:7000 -n 50)" '.failed == 0 and .names == {"b2": 50}' "an edit after the handover"

failures() { jq .failed "$tmp/$1.json"; }
[ "$(failures kept)" = 0 ] || fail "requests failed: $(cat "$tmp/kept.json")"
expect "$(finish "$fresh" fresh)" '.failed == 0' "new connections over two handovers"

before=$sluice_pid before_admin=$admin
admin="unix:$tmp/admin-4.sock"
start_sluice --l4 "$variant" --keep-pinned
traffic_goes_on() { wait_until 10 "kept go on $1" total_above kept $(($(jq .total "$tmp/kept.json") + 100)); }
stop_sluice KILL
sluice_pid=$before admin=$before_admin
wait_until 10 "the one before has control again" status_is ".l4 == \"$variant\" and (.l4_reason // \"\") == \"\""
apply_and_wait put_tcp_route tcp tcp b1:1
expect "$(client connections --to $vip4:7000 -n 50)" '.failed == 0 and .names == {"b1": 50}' "an edit after the return"
expect "$(client http --to $vip4:80 -n 50)" '.failed == 0' "requests after the return"
kill -TERM "$kept"
expect "$(finish "$hold" hold)" '.total == 64 and .failed == 0' "kept connections over three agents"
