#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# After SIGTERM nothing is left: no program, map, link, pin, address or socket; with --keep-pinned the kernel goes
# on forwarding.
BUILD=$1 variant=$2 test_name=sigterm_clean-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2
put_gateway web:80:HTTP tcp:7000:TCP udp:7000:UDP
put_http_route web web example.com / b1:1
put_tcp_route tcp tcp b1:1 b2:1
put_udp_route udp udp b1:1 b2:1

node_addresses() { in_ns node ip -br addr show dev lo | sed 's/ *$//'; }
vip_is_local() { node_addresses | grep "$vip4/32" >/dev/null && node_addresses | grep "$vip6/128" >/dev/null; }
hooks() { in_ns node bpftool -j net show | jq '[.[] | .xdp, .tc, .flow_dissector | length] | add'; }

addresses_before=$(node_addresses)
hooks_before=$(hooks)
start_sluice --l4 "$variant"
vip_is_local || fail "the Gateway's addresses are not on lo: $(node_addresses)"
expect "$(client connections --to $vip4:7000 -n 50)" '.failed == 0' "connections"
expect "$(client http --to $vip4:80 -n 50)" '.failed == 0' "requests"

maps='' links='' programs=''
mapfile -t pins_found < <(find "$tmp/bpf/sluice" -type f)
for pin in "${pins_found[@]}"; do
    if id=$(bpftool -j map show pinned "$pin" 2>/dev/null | jq -e .id); then maps+=" $id"
    elif link=$(pinned_link "$pin"); then
        links+=" $(jq .id <<<"$link")"
        programs+=" $(jq .prog_id <<<"$link")"
    fi
done
[ "$variant" = proxy ] || { [ -n "$maps" ] && [ -n "$links" ]; } || fail "nothing is pinned under $tmp/bpf"

stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
expect_no_pins "pins are left"
[ "$(node_addresses)" = "$addresses_before" ] || fail "addresses are left: $(node_addresses)"
[ "$(hooks)" = "$hooks_before" ] || fail "attachments are left: $(in_ns node bpftool net show)"
[ ! -e "$tmp/admin.sock" ] || fail "the admin socket is left"
for id in $maps; do wait_until 10 "map $id is gone" object_gone map "$id"; done
for id in $links; do wait_until 10 "link $id is gone" object_gone link "$id"; done
for id in $programs; do wait_until 10 "program $id is gone" object_gone prog "$id"; done

[ "$variant" != proxy ] || exit 0
start_sluice --l4 "$variant" --keep-pinned
stop_sluice
vip_is_local || fail "--keep-pinned: the addresses are gone"
expect "$(client connections --to $vip4:7000 -n 100)" '.failed == 0 and (.names | keys) == ["b1", "b2"]' "--keep-pinned: connections"
start_sluice --l4 "$variant"
stop_sluice
expect_no_pins "adopted pins are left"
[ "$(node_addresses)" = "$addresses_before" ] || fail "adopted addresses are left: $(node_addresses)"
