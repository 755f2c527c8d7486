#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the agent: kept connections, a download and new connections go on; the next agent adopts the maps and
# loses none.
BUILD=$1 variant=$2 test_name=kill9-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology remote

put_services b1 b2 remote
put_gateway tcp:7000:TCP udp:7001:UDP
put_tcp_route split tcp b1:40 b2:30 remote:30
put_udp_route udp udp b1:1
start_sluice --l4 "$variant"

background hold4 client "$test_client" hold --to $vip4:7000 -n 64 --stats "$tmp/hold4.json"
hold4=$background_pid
background hold6 client "$test_client" hold --to "[$vip6]:7000" -n 64 --stats "$tmp/hold6.json"
hold6=$background_pid
background download client "$test_client" download --to $vip4:7000 --bytes 500000000 --rate-mb 100
download=$background_pid
lines_above() { [ "$(jq .lines "$tmp/$1.json")" -gt "$2" ]; }
talk_on() {
    local hold
    for hold in hold4 hold6; do
        wait_until 10 "kept connections go on ($hold): $1" lines_above $hold $(($(jq .lines "$tmp/$hold.json") + 256))
    done
}
wait_until 10 "connections are kept" lines_above hold4 128
wait_until 10 "connections are kept" lines_above hold6 128
map_id() { bpftool -j map show pinned "$tmp/bpf/sluice/v2/$1" | jq .id; }
flows=$(map_id sl_flows)

stop_sluice KILL
talk_on "without an agent"
expect "$(client connections --to $vip4:7000 -n 300)" '.failed == 0 and (.names | keys) == ["b1", "b2", "remote"]' "new connections without an agent"
expect "$(client udp --to "[$vip6]:7001" -n 100)" '.failed == 0 and .names == {"b1": 100}' "datagrams without an agent"

put_tcp_route split tcp b2:1  # edited while nobody looked
start_sluice --l4 "$variant"
[ "$(map_id sl_flows)" = "$flows" ] || fail "the maps were not adopted"
talk_on "with the next agent"
expect "$(client connections --to $vip4:7000 -n 200)" '.failed == 0 and .names == {"b2": 200}' "new connections follow the edit"

stop_sluice KILL
start_sluice --l4 "$variant"
talk_on "with the third agent"
wait "$download" || fail "download: $(cat "$tmp/download.out")"
kept_all() { expect "$(finish "$1" "$2")" '.total == 64 and .failed == 0' "kept connections ($2)"; }
kept_all "$hold4" hold4
kept_all "$hold6" hold6
stop_sluice
expect_no_pins "an adopted pin was left"
