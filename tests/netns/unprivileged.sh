#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# --l4 proxy needs no right at all: an unprivileged user without capabilities serves HTTP, TCP and UDP from the same
# manifests.
BUILD=$1 test_name=unprivileged
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2
without_addresses=1
put_gateway web:8080:HTTP tcp:7000:TCP udp:7000:UDP
put_http_route web web example.com / b1:1
put_tcp_route tcp tcp b1:90 b2:10
put_udp_route udp udp b1:1 b2:1

install -m 755 "$sluice" "$tmp/sluice"
sluice=$tmp/sluice
chmod 755 "$tmp/manifests" && chmod 644 "$tmp/manifests/"*
install -d -o 65534 -g 65534 "$tmp/run"
admin=unix:$tmp/run/admin.sock
sluice_prefix=(setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs)
start_sluice --l4 proxy
grep -q '^CapEff:[[:space:]]*0*$' "/proc/$sluice_pid/status" || fail "the agent has capabilities"

serves() {
    local result
    result=$(client connections --to "$1:7000" -n 1000)
    expect "$result" '.failed == 0 and (.names | keys) == ["b1", "b2"]' "TCP by $1"
    expect_share "$result" b1 90 5
    expect "$(client udp --to "$1:7000" -n 300)" '.failed == 0 and (.names | keys) == ["b1", "b2"]' "UDP by $1"
    expect "$(client http --to "$1:8080" -n 1000)" '.failed == 0 and .names == {"b1": 1000}' "HTTP by $1"
}
serves $node4
serves "[$node6]"
expect_no_pins "something is pinned"
stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
