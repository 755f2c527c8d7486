#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A Gateway without addresses of its own takes no port from the programs of the node: they go on serving, its listeners
# say why they do not, and serve when the port is free.
BUILD=$1 variant=$2 test_name=taken_port-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

background daemon node "$test_backend" daemon --tcp 9022 --udp 9053 --http 9081
daemon=$background_pid
wait_until 10 "the node's own program answers" reached "$node4:9022"
put_services b1
without_addresses=1
put_gateway ssh:9022:TCP dns:9053:UDP web:9081:HTTP free:7000:TCP
for listener in ssh free; do put_tcp_route $listener $listener b1:1; done
put_udp_route dns dns b1:1
put_http_route web web example.com / b1:1
start_sluice --l4 "$variant"

served_by() {  # served_by NAME WHERE
    expect "$(client_in "$2" connections --to "$3:9022" -n 20)" ".failed == 0 and .names == {\"$1\": 20}" "TCP from $2 to $3"
    expect "$(client_in "$2" udp --to "$3:9053" -n 20)" ".failed == 0 and .names == {\"$1\": 20}" "UDP from $2 to $3"
    expect "$(client_in "$2" http --to "$3:9081" -n 20)" ".failed == 0 and .names == {\"$1\": 20}" "HTTP from $2 to $3"
}
programmed() {  # programmed LISTENER True|False TEXT
    status_is ".objects[] | select(.kind == \"Gateway\") | .listeners[] | select(.name == \"$1\") | .conditions[] |
        select(.type == \"Programmed\" and .status == \"$2\" and (.message | contains(\"$3\")))"
}
served_by daemon client $node4
served_by daemon client "[$node6]"
served_by daemon node 127.0.0.1
programmed ssh False 9022 >/dev/null || fail "the TCP listener does not say why: $(status_json)"
programmed dns False 9053 >/dev/null || fail "the UDP listener does not say why: $(status_json)"
programmed web False 9081 >/dev/null || fail "the HTTP listener does not say why: $(status_json)"
programmed free True "" >/dev/null || fail "the listener on a free port is not programmed: $(status_json)"
expect "$(client connections --to $node4:7000 -n 20)" '.failed == 0 and .names == {"b1": 20}' "the listener on a free port"

kill "$daemon"
for listener in ssh dns web; do wait_until 30 "$listener serves in its place" programmed $listener True ""; done
served_by b1 client $node4
served_by b1 client "[$node6]"
served_by b1 node 127.0.0.1
stop_sluice
