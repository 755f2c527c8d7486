#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A pod reaches the Gateway's address too: one that is no backend, one that is a backend of another listener, and
# one that is among the backends of the listener it asks.
BUILD=$1 variant=$2 test_name=hairpin-$2
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1 b2
put_gateway web:80:HTTP tcp:7000:TCP udp:7000:UDP other:7001:TCP own:7002:TCP
put_http_route web web example.com / b1:1
put_tcp_route tcp tcp b1:1
put_udp_route udp udp b1:1
put_tcp_route other other b2:1
put_tcp_route own own b1:1 b2:1
start_sluice --l4 "$variant"

from_pods() {
    local pod
    for pod in b3 b2; do
        expect "$(client_in $pod connections --to "$1:7000" -n 100)" '.failed == 0 and .names == {"b1": 100}' "TCP from $pod to $1"
        expect "$(client_in $pod udp --to "$1:7000" -n 100)" '.failed == 0 and .names == {"b1": 100}' "UDP from $pod to $1"
        expect "$(client_in $pod http --to "$1:80" -n 100)" '.failed == 0 and .names == {"b1": 100}' "HTTP from $pod to $1"
    done
    expect "$(client_in b2 connections --to "$1:7002" -n 200)" '.failed == 0 and (.names | keys) == ["b1", "b2"]' "a backend among its own, $1"
}
both_families from_pods
stop_sluice
