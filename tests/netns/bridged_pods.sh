#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pods that share a bridge, as flannel and k3s have them: one that is no backend reaches a backend beside it by the
# Gateway's address, though the bridge would take the answer straight to it.
BUILD=$1 variant=$2 test_name=bridged_pods-$2
. "$(dirname "$0")/../harness/lib.sh"

bridge4=198.51.100.1 bridge6=2001:db8:1::1
backend4() { echo "198.51.100.1$(pod_number "$1")"; }
backend6() { echo "2001:db8:1::1$(pod_number "$1")"; }
make_pod() {
    if [ "$1" = "${pods[0]}" ]; then
        in_ns node ip link add cni0 address 02:00:00:00:c1:00 type bridge forward_delay 0
        in_ns node ip link set cni0 up
    fi
    make_namespace "$1"
    link_pair "$1" eth0 node "$1"
    in_ns node ip link set "$1" master cni0
    [ "$1" != "${pods[0]}" ] || add_addresses node cni0 $bridge4/24 $bridge6/64
    add_addresses "$1" eth0 "$(backend4 "$1")/24" "$(backend6 "$1")/64"
    in_ns "$1" ip route add default via $bridge4
    in_ns "$1" ip -6 route add default via $bridge6
}
setup_topology

put_services b1 b2
put_gateway tcp:7000:TCP udp:7000:UDP own:7002:TCP
put_tcp_route tcp tcp b1:1
put_udp_route udp udp b1:1
put_tcp_route own own b1:1 b2:1
start_sluice --l4 "$variant"
for listener in tcp udp own; do expect_path $listener "$variant"; done
expect "$(status_json)" '[.attachments[] | select(.interface == "cni0") | .hook] == ["tcx"]' "attached to the bridge"

from_pods() {
    local pod protocol bridge=$bridge4
    [[ $1 != *:* ]] || bridge=$bridge6
    for pod in b2 b3; do
        for protocol in connections udp; do
            expect "$(client_in $pod $protocol --to "$1:7000" -n 100)" \
                ".failed == 0 and .names == {\"b1\": 100} and .clients == {\"$bridge\": 100}" "$protocol from $pod to $1"
        done
        expect "$(in_ns $pod timeout -s KILL 30 "$test_client" download --to "$1:7000" --bytes 20000000 || true)" \
            '.failed == 0' "download by $pod from $1"
    done
    expect "$(client_in b1 connections --to "$1:7002" -n 100)" '.failed == 0 and (.names | keys) == ["b1", "b2"]' "a backend among its own, $1"
    for protocol in connections udp; do
        expect "$(client $protocol --to "$1:7000" -n 100)" \
            ".failed == 0 and .clients == {\"$2\": 100}" "$protocol from outside to $1: the client is seen"
    done
}
both_families from_pods
stop_sluice
