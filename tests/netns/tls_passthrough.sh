#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# TLSRoutes pass TLS through by server name, undecrypted: each backend shows its own certificate, one of them asks the
# client for one. An unknown name, no name and what is no TLS at all reach no backend.
BUILD=$1 io=$2 test_name=tls_passthrough-$2
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../interop/lib.sh"
setup_topology

for name in one two; do
    make_ca ca-$name
    make_certificate $name ca-$name $name.example.com any.$name.example.net
done
make_certificate user ca-two user.example.com
server=(python3 "$repository/tests/interop/tls_server.py")
serve_in b1 one 9443 "${server[@]}" one 9443 "$tmp/one.crt" "$tmp/one.key"
serve_in b2 two 9443 "${server[@]}" two 9443 "$tmp/two.crt" "$tmp/two.key" "$tmp/ca-two.crt"
put_port_service one b1 9443
put_port_service two b2 9443
{ manifest_gateway; say '  - {name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}'; } | put gateway
for name in one two; do
    put "tlsroute-$name" <<END
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: $name, namespace: default}
spec:
  parentRefs: [{name: edge}]
  hostnames: [$name.example.com, "*.$name.example.net"]
  rules:
  - backendRefs: [{name: $name, port: 9443}]
END
done
start_sluice --io "$io"

ask() {  # ask BACKEND HOST CURL_ARGS...: the backend's authority is the only one trusted
    local backend=$1 host=$2
    shift 2
    in_ns client curl -sS --max-time 20 --cacert "$tmp/ca-$backend.crt" --connect-to "::$address:443" "$@" \
        --url "https://$host${path:-/x}"
}
user=(--cert "$tmp/user.crt" --key "$tmp/user.key")
passes_through() {
    local address=$1 got host
    for host in one.example.com any.one.example.net; do
        got=$(ask one $host)
        [ "$got" = "one sni=$host client=None path=/x" ] || fail "$host by $address: $got"
    done
    for host in two.example.com any.two.example.net; do
        got=$(ask two $host "${user[@]}")
        [ "$got" = "two sni=$host client=user path=/x" ] || fail "$host by $address: $got"
    done
    if ask two two.example.com >"$tmp/got" 2>&1; then fail "the backend's wish for a certificate did not pass"; fi
    got=$(path=/bytes/30000000 ask one one.example.com | sha256sum)
    [ "$got" = "$(head -c 30000000 /dev/zero | sha256sum)" ] || fail "30 MB by $address"
    for host in three.example.com one.example.net any.any.example.org; do
        if ask one $host -k >"$tmp/got" 2>&1; then fail "$host by $address: $(cat "$tmp/got")"; fi
    done
}
both_families passes_through

# Fifty at a time over one listener: none takes another's way.
for i in $(seq 50); do printf 'url = "https://%s.example.com/%d"\noutput = "%s/each-%d"\n' \
    "$([ $((i % 2)) = 0 ] && echo one || echo two)" "$i" "$tmp" "$i"; done >"$tmp/urls"
in_ns client curl -sS --max-time 30 -k "${user[@]}" --connect-to "::$vip4:443" --parallel --parallel-max 50 \
    --parallel-immediate --config "$tmp/urls" 2>"$tmp/curl.err" || fail "fifty at a time: $(cat "$tmp/curl.err")"
for i in $(seq 50); do
    host=$([ $((i % 2)) = 0 ] && echo one || echo two)
    grep -q "^$host sni=$host.example.com .*path=/$i$" "$tmp/each-$i" || fail "request $i of $host: $(cat "$tmp/each-$i")"
done

got=$(in_ns client openssl s_client -connect $vip4:443 -noservername </dev/null 2>&1 || true)
if grep -q 'BEGIN CERTIFICATE' <<<"$got"; then fail "without a server name: $got"; fi
got=$(in_ns client curl -sS --max-time 10 "http://$vip4:443/" 2>&1 || true)
if grep -q 'sni=' <<<"$got"; then fail "plain HTTP: $got"; fi
stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
