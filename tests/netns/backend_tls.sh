#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# BackendTLSPolicy: TLS to a backend with the policy's name as SNI. After a wrong authority or a wrong name nothing was
# sent, which is a 503; what is put right serves without a restart.
BUILD=$1 io=$2 test_name=backend_tls-$2
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../interop/lib.sh"
setup_topology

for ca in ca other-ca; do make_ca $ca; done
make_certificate backend ca backend.example.com alias.example.com
make_certificate gateway ca gateway.example.com
server=(python3 "$repository/tests/interop/tls_server.py")
serve_in b1 open 9443 "${server[@]}" open 9443 "$tmp/backend.crt" "$tmp/backend.key"
serve_in b2 mutual 9443 "${server[@]}" mutual 9443 "$tmp/backend.crt" "$tmp/backend.key" "$tmp/ca.crt"
put_port_service open b1 9443
put_port_service mutual b2 9443
put_ca_config_map right ca
put_ca_config_map wrong other-ca
put_secret gateway gateway

policy() {  # policy SERVICE CONFIG_MAP HOSTNAME [SAN]
    put "policy-$1" <<END
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: $1, namespace: default}
spec:
  targetRefs: [{group: "", kind: Service, name: $1}]
  validation:
    caCertificateRefs: [{group: "", kind: ConfigMap, name: $2}]
    hostname: $3
    ${4:+subjectAltNames: [{type: Hostname, hostname: $4\}]}
END
}
gateway_with() { { manifest_gateway web:80:HTTP; say "${1:+  tls: $1}"; } | put gateway; }
gateway_with ''
for service in open mutual; do
    put_http_route $service web $service.example.com / $service:1
    sed -i 's/port: 8080/port: 9443/' "$tmp/manifests/httproute-$service.yaml"
    policy $service right backend.example.com
done
start_sluice --io "$io"

answers() {  # answers SERVICE STATUS [TEXT]
    local got
    got=$(in_ns client curl -sS --max-time 20 -w '%{http_code}' --connect-to "::$vip4:80" "http://$1.example.com/x")
    # shellcheck disable=SC2053  # the status is a pattern
    [[ $got == *$2 && $got == "${3:-}"* ]] || fail "$1: wanted $2 ${3:-}, got $got"
}
answers open 200 'open sni=backend.example.com client=None path=/x'
got=$(in_ns client h2load --h1 -n 1000 -c 8 -H ':authority: open.example.com' "http://$vip4/x" || true)
grep -q 'status codes: 1000 2xx' <<<"$got" || fail "a thousand requests: $got"
got=$(in_ns client curl -sS --max-time 20 --connect-to "::$vip4:80" http://open.example.com/bytes/30000000 | sha256sum)
[ "$got" = "$(head -c 30000000 /dev/zero | sha256sum)" ] || fail "30 MB by TLS from a backend"

# The name to ask for and the name to verify.
apply_and_wait policy open right backend.example.com alias.example.com
answers open 200 'open sni=backend.example.com'
apply_and_wait policy open right backend.example.com stranger.example.com
answers open 503
apply_and_wait policy open right stranger.example.com
answers open 503
apply_and_wait policy open wrong backend.example.com
answers open 503
apply_and_wait policy open right alias.example.com
answers open 200 'open sni=alias.example.com'
apply_and_wait rm "$tmp/manifests/policy-open.yaml"
got=$(in_ns client curl -sS --max-time 20 -o /dev/null -w '%{http_code}' --connect-to "::$vip4:80" http://open.example.com/x)
[ "$got" = 502 ] || fail "plain HTTP to a TLS backend: $got"

# A client certificate of the Gateway's. With TLS 1.3 a backend refuses it after the handshake, to the client's eye.
answers mutual '50[23]'
apply_and_wait gateway_with '{backend: {clientCertificateRef: {kind: Secret, name: gateway}}}'
answers mutual 200 'mutual sni=backend.example.com client=gateway path=/x'
stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
