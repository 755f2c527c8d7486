#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# WebSockets through the proxy, in clear and by TLS: 1,000 messages come back in order, and nothing that a client sends
# right behind its upgrade request reaches the backend before the backend's 101.
BUILD=$1 io=$2 test_name=websocket-$2
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../interop/lib.sh"
setup_topology

peer=(/usr/bin/python3 "$repository/tests/interop/websocket.py")
make_ca ca
make_certificate ws ca ws.example.com
put_secret ws ws
serve_in b1 echo 9100 "${peer[@]}" server 9100
serve_in b2 raw 9200 "${peer[@]}" raw 9200
put_port_service echo b1 9100 kubernetes.io/ws
put_port_service raw b2 9200
{ manifest_gateway web:80:HTTP; https_listener https 443 '' ws; } | put gateway
put ws-route <<END
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ws, namespace: default}
spec:
  parentRefs: [{name: edge}]
  hostnames: [ws.example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /echo}}]
    backendRefs: [{name: echo, port: 9100}]
  - backendRefs: [{name: raw, port: 9200}]
END
start_sluice --io "$io"

for arguments in "$vip4 80" "$vip6 80" "$vip4 443 $tmp/ca.crt" "$vip6 443 $tmp/ca.crt"; do
    # shellcheck disable=SC2086  # they are words
    got=$(in_ns client timeout 60 "${peer[@]}" client $arguments 2>&1) || fail "$arguments: $(tail -n 3 <<<"$got")"
    [ "$got" = "1000 messages" ] || fail "$arguments: $got"
done

got=$(in_ns client timeout 20 "${peer[@]}" early $vip4 80 /accepted)
[[ $got =~ ^HTTP/1.1\ 101\ .*hello$ ]] || fail "an accepted upgrade: $got"
wait_until 10 "the raw backend's words" grep -q ^/accepted "$tmp/raw.out"
grep -q "^/accepted before=b'' after=b'GET /behind HTTP/1.1.*" "$tmp/raw.out" || fail "$(cat "$tmp/raw.out")"

# Refused: what follows is a request like any other, with a head of the proxy's own.
got=$(in_ns client timeout 20 "${peer[@]}" early $vip4 80 /refused)
[[ $got =~ ^HTTP/1.1\ 403\ .*HTTP/1.1\ 200\ .*hello$ ]] || fail "a refused upgrade: $got"
wait_until 10 "the raw backend's words" grep -q ^/behind "$tmp/raw.out"
grep -q "^/refused before=b'' after=b''" "$tmp/raw.out" || fail "$(cat "$tmp/raw.out")"

stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
