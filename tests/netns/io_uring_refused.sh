#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# On a node that refuses io_uring the agent serves; asked for io_uring, it says what is missing and ends.
BUILD=$1 test_name=io_uring_refused
. "$(dirname "$0")/../harness/lib.sh"
setup_topology

put_services b1
put_gateway web:80:HTTP
put_http_route web web example.com / b1:1

sluice_prefix=(python3 "$harness/refuse_io_uring.py")
status=0
said=$(in_ns node timeout 30 "${sluice_prefix[@]}" "$sluice" run --manifests "$tmp/manifests" --uplink lan0 \
    --admin "$admin" --bpffs "$tmp/bpf" --io io_uring 2>&1) || status=$?
[ $status = 1 ] || fail "exit code $status: $said"
case $said in *io_uring_setup*"Operation not permitted"*) ;; *) fail "no cause in: $said" ;; esac
expect_no_pins "something is pinned"

start_sluice
expect "$(status_json)" '.io == "epoll"' "which loop runs"
expect "$(client http --to $vip4:80 -n 100)" '.failed == 0 and .names == {"b1": 100}' "HTTP"
stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
