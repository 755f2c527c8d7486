#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tables and attachments are readable from outside: bpftool shows every map with named fields, and every attachment
# with its hook, its interface and the program's name. After SIGTERM it shows none.
BUILD=$1 variant=$2 test_name=bpftool_names-$2
. "$(dirname "$0")/../harness/lib.sh"
[[ $(bpftool version) != "bpftool v7."[0-4].* ]] || skip "this bpftool does not know tcx: it takes 7.5"
setup_topology

put_services b1 b2
put_gateway tcp:7000:TCP udp:7000:UDP
put_tcp_route tcp tcp b1:1 b2:1
put_udp_route udp udp b1:1 b2:1
start_sluice --l4 "$variant"
expect "$(client connections --to $vip4:7000 -n 20)" '.failed == 0' "connections"

pins=$tmp/bpf/sluice/v2
has_fields() {  # has_fields MAP FIELD...
    local map=$1 dump field
    shift
    dump=$(bpftool map dump pinned "$pins/$map")
    for field; do grep -q "\"$field\"" <<<"$dump" || fail "$map shows no $field: $(head -c 600 <<<"$dump")"; done
}
has_fields sl_listeners addr_be port_be proto served_by
has_fields sl_backends addr_be port_be ifindex generation source_be
has_fields sl_flows client_be vip_be client_port_be source_be backend_id
has_fields sl_replies backend_be source_be
has_fields sl_counters packets_in bytes_in connections
has_fields sl_config seed udp_idle_s

for pin in "$pins"/sl_*; do
    name=$(bpftool -j map show pinned "$pin" 2>/dev/null | jq -r '.name // empty') || continue
    [ -z "$name" ] || [ "$name" = "$(basename "$pin")" ] || fail "$(basename "$pin") is map $name"
done

program_name() { bpftool -j prog show id "$1" | jq -r .name; }
is_same() { [ "$2" = "$3" ] || fail "$1: wanted"$'\n'"$2"$'\n'"got"$'\n'"$3"; }  # is_same WHAT WANTED GOT

hooks() { in_ns node bpftool -j net show | jq -c '.[0] | [.xdp[], .tc[], .flow_dissector[], .netfilter[]?]'; }

links='' xdp_link='' link_ids='' program_ids=''
mapfile -t pins_found < <(find "$tmp/bpf/sluice" -type f)
for pin in "${pins_found[@]}"; do
    link=$(pinned_link "$pin") || continue
    id=$(jq .id <<<"$link") program=$(jq .prog_id <<<"$link")
    bpftool -j link show | jq -e "any(.[]; .id == $id)" >/dev/null || fail "bpftool link does not list $link"
    link_ids+=" $id" program_ids+=" $program"
    links+="$(jq -r '"\(.type) \(.devname // .netns_ino) \(.attach_type // "-")"' <<<"$link") $(program_name "$program")"$'\n'
done

[ "$variant" != xdp ] || xdp_link='xdp lan0 - sl_xdp_ingress'
netns=$(in_ns node stat -Lc %i /proc/self/ns/net)
is_same "bpftool link" "$(printf '%s\n' "netns $netns sk_lookup sl_sk_lookup" \
    "tcx "{b1,b2,lan0}" tcx_ingress sl_tc_ingress" ${xdp_link:+"$xdp_link"} | sort)" "$(sort <<<"${links%$'\n'}")"

is_same "tcx in bpftool net" "$(printf '%s\n' {b1,b2,lan0}" tcx/ingress sl_tc_ingress")" \
    "$(hooks | jq -r '.[] | select(.kind) | "\(.devname) \(.kind) \(.name)"' | sort)"
xdp=$(hooks | jq -r '.[] | select(.mode) | "\(.devname) \(.mode) \(.id)"')
[ -z "$xdp" ] || xdp="${xdp% *} $(program_name "${xdp##* }")"
is_same "XDP in bpftool net" "${xdp_link:+lan0 driver sl_xdp_ingress}" "$xdp"

for interface in lan0 b1 b2; do
    expect "$(status_json)" "any(.attachments[]; .interface == \"$interface\" and .hook == \"tcx\")" "tcx on $interface"
done

stop_sluice
is_same "bpftool net after the end" '[]' "$(hooks)"
for id in $link_ids; do wait_until 10 "link $id is gone" object_gone link "$id"; done
for id in $program_ids; do wait_until 10 "program $id is gone" object_gone prog "$id"; done
