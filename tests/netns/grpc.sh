#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gRPC's own interoperability client against its own server through a GRPCRoute: unary and all kinds of streams,
# cancellation, deadlines, metadata, statuses. By h2c and by TLS, to a backend in clear and by TLS; then grpcurl and ghz.
BUILD=$1 io=$2 test_name=grpc-$2
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../interop/lib.sh"
need_tools grpc-interop-server grpc-interop-client grpcurl ghz
setup_topology

make_ca ca
make_certificate grpc ca grpc.example.com
make_certificate backend ca backend.example.com
put_secret grpc grpc
put_ca_config_map backend-ca ca
grpc_port=50051 grpcs_port=50052
serve_in b1 grpc-plain $grpc_port "$tools/grpc-interop-server" -port $grpc_port
serve_in b2 grpc-tls $grpcs_port "$tools/grpc-interop-server" -port $grpcs_port -use_tls \
    -tls_cert_file "$tmp/backend.crt" -tls_key_file "$tmp/backend.key"
put_port_service plain b1 $grpc_port kubernetes.io/h2c
put_port_service secure b2 $grpcs_port
put backend-tls <<END
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: secure, namespace: default}
spec:
  targetRefs: [{group: "", kind: Service, name: secure}]
  validation:
    caCertificateRefs: [{group: "", kind: ConfigMap, name: backend-ca}]
    hostname: backend.example.com
END
{ manifest_gateway web:80:HTTP; https_listener https 443 grpc.example.com grpc; } | put gateway
grpc_route() {  # grpc_route SERVICE PORT: no hostnames, for the interop client names the address where there is no TLS
    put grpcroute <<END
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: interop, namespace: default}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches:
    - method: {service: grpc.testing.TestService}
    - method: {service: grpc.testing.UnimplementedService}
    backendRefs: [{name: $1, port: $2}]
END
}
grpc_route plain $grpc_port
backend_gone() { ! listens b2 $grpcs_port; }
start_sluice --io "$io"

cases=(empty_unary large_unary client_streaming server_streaming ping_pong empty_stream timeout_on_sleeping_server
    cancel_after_begin cancel_after_first_response custom_metadata status_code_and_message special_status_message
    unimplemented_method unimplemented_service)
interop() {  # interop WHAT CLIENT_ARGS...: every case once
    local what=$1 case
    shift
    for case in "${cases[@]}"; do
        in_ns client timeout 20 "$tools/grpc-interop-client" -server_host $vip4 -server_host_override grpc.example.com \
            -test_case "$case" "$@" >"$tmp/client.out" 2>&1 || fail "$case by $what: $(tail -n 5 "$tmp/client.out")"
    done
}
secure=(-server_port 443 -use_tls -use_test_ca -ca_file "$tmp/ca.crt")
clear=(-server_port 80)
interop "TLS to h2c" "${secure[@]}"
interop "h2c to h2c" "${clear[@]}"

# grpcurl and ghz as a user calls them.
call=(-import-path "$repository/tests/interop" -proto grpc_testing.proto)
grpcurl() { in_ns client "$tools/grpcurl" "${call[@]}" -authority grpc.example.com "$@" 2>&1; }
got=$(grpcurl -plaintext -d '{"responseSize": 9}' $vip4:80 grpc.testing.TestService/UnaryCall)
expect "$got" '.payload.body == "AAAAAAAAAAAA"' "grpcurl, unary"
got=$(grpcurl -cacert "$tmp/ca.crt" -d '{"responseParameters": [{"size": 3}, {"size": 6}]}' \
    $vip4:443 grpc.testing.TestService/StreamingOutputCall)
expect "$(jq -s . <<<"$got")" 'map(.payload.body) == ["AAAA", "AAAAAAAA"]' "grpcurl, a stream"
got=$(grpcurl -cacert "$tmp/ca.crt" $vip4:443 grpc.testing.Absent/EmptyCall || true)
grep -q 'Code: Unimplemented' <<<"$got" || fail "a service that no route has: $got"

load() {  # load WHAT ARGS...: 10,000 unary calls without an error
    local what=$1 got
    shift
    got=$(in_ns client "$tools/ghz" --proto "$repository/tests/interop/grpc_testing.proto" --authority grpc.example.com \
        --call grpc.testing.TestService/UnaryCall -d '{"responseSize": 128}' -n 10000 -c 32 --connections 4 -O json "$@")
    expect "$got" '.count == 10000 and .statusCodeDistribution == {"OK": 10000}' "10,000 calls, $what"
}
load "h2c" --insecure $vip4:80
load "TLS" --cacert "$tmp/ca.crt" $vip4:443

apply_and_wait grpc_route secure $grpcs_port
interop "TLS to TLS" "${secure[@]}"
interop "h2c to TLS" "${clear[@]}"
load "h2c to TLS" --insecure $vip4:80

# Without a backend the gateway's own answer is a gRPC status, too.
kill -KILL "$background_pid"
wait_until 10 "the backend is gone" backend_gone
got=$(grpcurl -plaintext $vip4:80 grpc.testing.TestService/EmptyCall || true)
grep -q 'Code: Unavailable' <<<"$got" || fail "no backend: $got"

stop_sluice
[ $sluice_status = 0 ] || fail "exit code $sluice_status"
