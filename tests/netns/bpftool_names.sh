#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tables and attachments are readable from outside: bpftool shows every map with named fields, every link's program
# by its name.
BUILD=$1 variant=$2 test_name=bpftool_names-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2
put_gateway tcp:7000:TCP udp:7000:UDP
put_tcp_route tcp tcp b1:1 b2:1
put_udp_route udp udp b1:1 b2:1
start_sluice --l4 "$variant"
expect "$(client connections --to $vip4:7000 -n 20)" '.failed == 0' "connections"

pins=$tmp/bpf/sluice/v1
has_fields() {  # has_fields MAP FIELD...
    local map=$1 dump field
    shift
    dump=$(bpftool map dump pinned "$pins/$map")
    for field; do grep -q "\"$field\"" <<<"$dump" || fail "$map shows no $field: $(head -c 600 <<<"$dump")"; done
}
has_fields sl_listeners addr_be port_be proto served_by
has_fields sl_backends addr_be port_be ifindex generation
has_fields sl_flows client_be vip_be client_port_be source_be backend_id
has_fields sl_replies backend_be source_be
has_fields sl_counters packets_in bytes_in connections
has_fields sl_config node4_be udp_idle_s

for pin in "$pins"/sl_*; do
    name=$(bpftool -j map show pinned "$pin" 2>/dev/null | jq -r '.name // empty') || continue
    [ -z "$name" ] || [ "$name" = "$(basename "$pin")" ] || fail "$(basename "$pin") is map $name"
done

programs=''
mapfile -t pins_found < <(find "$tmp/bpf/sluice" -type f)
for pin in "${pins_found[@]}"; do
    id=$(bpftool -j link show pinned "$pin" 2>/dev/null | jq -e .prog_id) || continue
    programs+="$(bpftool -j prog show id "$id" | jq -r .name)"$'\n'
done
[ "$(grep -c '^sl_' <<<"$programs")" -ge 4 ] || fail "links of lan0, b1, b2 and sk_lookup, found: $programs"
if grep -v '^sl_' <<<"${programs%$'\n'}"; then fail "a program's name"; fi
if [ "$variant" = xdp ]; then
    shown=$(in_ns node bpftool net show)
    grep -q lan0 <<<"$shown" || fail "bpftool net shows no XDP program on lan0: $shown"
fi
for interface in lan0 b1 b2; do
    expect "$(status_json)" "any(.attachments[]; .interface == \"$interface\" and .hook == \"tcx\")" "tcx on $interface"
done
stop_sluice
