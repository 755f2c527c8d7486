#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Whoever may write an EndpointSlice reaches no more by it than pods (CVE-2021-25740): addresses of nodes, loopback and
# link-local ones get no traffic, the route says why, and a pod beside them is still served.
. "$(dirname "$0")/../lib.sh"
begin_case

# slice NAME ADDRESS...: of the Service "aimed", which has no selector.
slice() {
    local name=$1
    shift
    cat <<END
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: aimed-$name, labels: {kubernetes.io/service-name: aimed}}
addressType: $([[ $1 = *:* ]] && echo IPv6 || echo IPv4)
ports:
- {name: http, port: 8080, protocol: TCP}
- {name: tcp, port: 9000, protocol: TCP}
endpoints: [$(printf '{addresses: ["%s"], conditions: {ready: true}},' "$@")]
END
}
no_selector() {
    cat <<END
apiVersion: v1
kind: Service
metadata: {name: aimed}
spec: {ports: [{name: http, port: 8080}, {name: tcp, port: 9000}]}
END
}
resolved_refs() { kubectl get "$1" aimed -o json | jq -r '.status.parents[].conditions[] | select(.type == "ResolvedRefs") | "\(.status) \(.reason) \(.message)"'; }
is_refused_in_status() { [[ "$(resolved_refs "$1")" = "False UnsupportedValue "*"a node's own address"* ]]; }
is_resolved() { [[ "$(resolved_refs "$1")" = "True "* ]]; }
answers() { [ "$(client http --to "$vip:80" -n 20 -c 2 --status "$1" | jq .failed)" = 0 ]; }

# What listens on the nodes, on the very ports that the slice will name.
for node in "${nodes[@]}"; do
    spawn "listener-$node" nsenter --net="/run/netns/gwlab-$node" "$BUILD/tests/sluice-test-backend" "host-$node" --tcp 9000 --http 8080
done
no_selector | apply
slice nodes 172.30.0.11 172.30.0.12 | apply
gateway aimed | sed 's/name: web,/name: aimed,/' | apply
wait_programmed default aimed
vip=$(gateway_address default aimed)
for kind in httproute tcproute; do wait_until 5 "the $kind says that nodes are refused" is_refused_in_status "$kind"; done
wait_until 2 "500 instead of what listens on the nodes" answers 500
expect "$(client connections --to "$vip:9000" -n 20 --timeout-ms 500)" '.failed == 20' "TCP to what listens on the nodes"

# The API server keeps these out itself; were it to let one in, the agents' own test is that of unit.plan.
for address in 127.0.0.1 169.254.169.254 ::1 fe80::1; do
    ! slice special "$address" | kubectl apply -f - >/dev/null 2>&1 || fail "the API server takes $address for an endpoint now: test it here"
done

pod=$(kubectl get pod web-n1 -o 'jsonpath={.status.podIP}')
slice nodes 172.30.0.11 "$pod" 172.30.0.12 | apply
for kind in httproute tcproute; do wait_until 5 "the $kind is resolved by a pod" is_resolved "$kind"; done
for traffic in http connections; do
    port=80
    [ $traffic = http ] || port=9000
    expect "$(client $traffic --to "$vip:$port" -n 100)" '.failed == 0 and (.names | keys) == ["web-n1"]' "$traffic to a pod beside nodes"
done
