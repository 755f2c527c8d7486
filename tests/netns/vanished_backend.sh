#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A backend's node that vanishes without a word, as one without power: a request that is on its way there ends, and so
# does a relay that only waits, long before the times of requests and relays are over.
BUILD=$1 test_name=vanished_backend
. "$(dirname "$0")/../harness/lib.sh"
[ "$(printf '%s\n' 6.15 "$(uname -r)" | sort -V | head -n 1)" = 6.15 ] || skip "Linux before 6.15 has no TCP_RTO_MAX_MS"
setup_topology remote

put_services remote
put_gateway web:80:HTTP tcp:7000:TCP
put_http_route web web www.example.com / remote:1
put_tcp_route tcp tcp remote:1
# One endpoint and one worker: then a request goes by the connection that the one before has left.
sed -i '/name: remote-6/,$ s/ready: true/ready: false/' "$tmp/manifests/service-remote.yaml"
start_sluice --l4 proxy --workers 1

ask() { in_ns client curl -sS -o /dev/null -w '%{http_code}' -H 'Host: www.example.com' "$@" "http://$vip4/x"; }
expect_status() { [ "$2" = "$1" ] || fail "$3: status $2"; }
expect_status 200 "$(ask --max-time 20)" "while the backend is there"
# shellcheck disable=SC2016  # the single quotes are for the inner shell
background relay client bash -c 'exec 3<>"/dev/tcp/$0/7000"; echo >&3; read -r name <&3; echo "$name"; cat <&3' $vip4
relay=$background_pid
wait_until 10 "the relay's backend answers" test -s "$tmp/relay.out"

in_ns lan ip link set remote down
# Of the pooled connection's; a POST is not sent twice.
expect_status 502 "$(ask --max-time 60 -d x)" "to a backend that has vanished"
wait_until 60 "the relay to a backend that has vanished ends" has_ended "$relay"
in_ns lan ip link set remote up
expect_status 200 "$(ask --max-time 20)" "since it is back"
stop_sluice
