#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# HTTP, TCP and UDP listeners on one address at once, TCP and UDP on one port; and a listener that turns from TCP to
# HTTP.
BUILD=$1 variant=$2 test_name=mixed_listeners-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2 b3
put_gateway web:80:HTTP tcp:7000:TCP udp:7000:UDP dns:53:UDP
put_http_route web web example.com / b1:1
put_tcp_route tcp tcp b2:1
put_udp_route udp udp b3:1
put_udp_route dns dns b1:1
start_sluice --l4 "$variant"
expect_path web proxy
for listener in tcp udp dns; do expect_path $listener "$variant"; done

all_at_once() {
    background web client "$test_client" http --to "$1:80" -n 2000
    local web=$background_pid
    background tcp client "$test_client" connections --to "$1:7000" -n 500
    local tcp=$background_pid
    expect "$(client udp --to "$1:7000" -n 200)" '.failed == 0 and .names == {"b3": 200}' "udp"
    expect "$(client udp --to "$1:53" -n 200)" '.failed == 0 and .names == {"b1": 200}' "dns"
    wait "$web" "$tcp" || true
    expect "$(cat "$tmp/web.out")" '.failed == 0 and .names == {"b1": 2000}' "web"
    expect "$(cat "$tmp/tcp.out")" '.failed == 0 and .names == {"b2": 500}' "tcp"
}
both_families all_at_once

rm "$tmp/manifests/tcproute-tcp.yaml"
put_http_route seven tcp example.com / b2:1
apply_and_wait put_gateway web:80:HTTP tcp:7000:HTTP udp:7000:UDP
wait_until 10 "the listener speaks HTTP" in_ns client "$test_client" http --to "$vip4:7000" -n 1
expect "$(client http --to "$vip4:7000" -n 100)" '.failed == 0 and .names == {"b2": 100}' "the listener that was TCP"
expect "$(client udp --to "$vip4:7000" -n 100)" '.failed == 0 and .names == {"b3": 100}' "its neighbour on the same port"
expect "$(client udp --to "$vip4:53" -n 4 -c 4 --timeout-ms 300)" '.failed == 4' "the listener that is gone"
stop_sluice
