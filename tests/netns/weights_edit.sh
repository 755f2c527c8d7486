#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Kept connections and a running download stay with their backend while weights are edited; new connections follow
# the edit.
BUILD=$1 variant=$2 test_name=weights_edit-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2 b3
put_gateway tcp:7000:TCP
put_tcp_route split tcp b1:90 b2:10
start_sluice --l4 "$variant"

background hold4 client "$test_client" hold --to $vip4:7000 -n 64 --stats "$tmp/hold4.json"
hold4=$background_pid
background hold6 client "$test_client" hold --to "[$vip6]:7000" -n 64 --stats "$tmp/hold6.json"
hold6=$background_pid
background download client "$test_client" download --to $vip4:7000 --bytes 1000000000 --rate-mb 100
download=$background_pid
lines() { jq .lines "$tmp/$1.json"; }
lines_above() { [ "$(lines "$1")" -gt "$2" ]; }
wait_until 10 "every kept connection talks" lines_above hold4 128
wait_until 10 "every kept connection talks" lines_above hold6 128

for edit in 1 2 3 4 5; do
    for refs in "b1:10 b2:90" "b1:0 b2:100" "b2:50 b3:50" "b1:90 b2:$edit"; do
        # shellcheck disable=SC2086
        apply_and_wait put_tcp_route split tcp $refs
        before=$(lines hold4)
        wait_until 10 "kept connections go on" lines_above hold4 $((before + 128))
    done
done

result=$(client connections --to $vip4:7000 -n 500)
expect "$result" '.failed == 0 and (.names | keys - ["b1", "b2"]) == []' "new connections follow the last edit"
wait "$download" || fail "download: $(cat "$tmp/download.out")"
kept_all() { expect "$(finish "$1" "$2")" '.total == 64 and .failed == 0' "kept connections ($2)"; }
kept_all "$hold4" hold4
kept_all "$hold6" hold6
stop_sluice
