# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034  # the variables are for those who source it
# What the cases share: the lab that `run` has started, its backends, and the agents on its nodes.
set -euo pipefail
: "${BUILD:?the build tree}"
e2e=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$e2e/../.." && pwd)
# shellcheck source=../../harness/judge.sh
. "$root/tests/harness/judge.sh"
BUILD=$(cd "$BUILD" && pwd)
test_client=$BUILD/tests/sluice-test-client
export LAB_DIR=${LAB_DIR:-/tmp/gwlab}
nodes=(n1 n2)

lab() { "$root/tests/lab/lab" "$@"; }
kubectl() { lab kubectl "$@"; }
apply() { kubectl apply -f - >/dev/null; }
# client ARGS...: the test client. Its JSON is judged, not its exit code.
client() { nsenter --net=/run/netns/gwlab-client "$test_client" "$@" || true; }
# background NAME ARGS...: the test client until it is told to end.
background() { local name=$1; shift; spawn "$name" nsenter --net=/run/netns/gwlab-client "$test_client" "$@" --limit-s 600 --stats "$tmp/$name.json"; }
total() { jq ".total" "$tmp/$1.json"; }
total_above() { [ "$(total "$1")" -gt "$2" ]; }
lines_above() { [ "$(jq .lines "$tmp/$1.json")" -gt "$2" ]; }

begin_case() {
    tmp=$(mktemp -d "${TMPDIR:-/tmp}/e2e.XXXXXX")
    trap end_case EXIT
    trap 'fail "line $LINENO: $BASH_COMMAND"' ERR
    set -E
}
end_case() {
    local status=$?
    trap - EXIT ERR
    set +e
    end_spawned
    rm -rf "$tmp"
    exit "$status"
}

# gateway_address NAMESPACE NAME: the first one of its status.
gateway_address() { kubectl get gateway -n "$1" "$2" -o 'jsonpath={.status.addresses[0].value}'; }
# is_programmed NAMESPACE NAME: of this generation.
is_programmed() {
    kubectl get gateway -n "$1" "$2" -o json | jq -e '.metadata.generation as $now | any(.status.conditions[]?;
        .type == "Programmed" and .status == "True" and .observedGeneration == $now)'
}
wait_programmed() { wait_until 30 "Gateway $1/$2 is programmed" is_programmed "$1" "$2"; }
# answers ADDRESS: a request; serves ADDRESS: by HTTP and TCP, of whose routes and endpoints Programmed says nothing.
answers() { [ "$(client http --to "$1:80" -n 1 -c 1 --timeout-ms 200 | jq .failed)" = 0 ]; }
serves() { answers "$1" && [ "$(client connections --to "$1:9000" -n 1 -c 1 | jq .failed)" = 0 ]; }
wait_serves() { wait_until 10 "$1 serves" serves "$1"; }
has_address() { [[ " $(lab on "$1" ip -br addr show dev lo) " = *" $2/"* ]]; }
# owner_of ADDRESS: the node that has it.
owner_of() { local node; for node in "${nodes[@]}"; do ! has_address "$node" "$1" || echo "$node"; done; }
# agents NODE: the pids of its agents.
agents() {
    local node=$1 pid
    for pid in $(pgrep -f '^/usr/bin/sluice run' || true); do
        [ "$(readlink "/proc/$pid/ns/net")" != "$(stat -Lc 'net:[%i]' "/run/netns/gwlab-$node")" ] || echo "$pid"
    done
}
rolled_out() { kubectl rollout status -n sluice-system ds/sluice --timeout=120s >/dev/null; }

# backends NAMESPACE NAME...: a Service each with one pod on each node that says its name: "NAME-nK".
backends() {
    local ns=$1 name node
    shift
    for name; do
        cat <<END
---
apiVersion: v1
kind: Service
metadata: {name: $name, namespace: $ns}
spec:
  selector: {app: $name}
  ports:
  - {name: http, port: 8080}
  - {name: tcp, port: 9000}
  - {name: orders, port: 6000, targetPort: 9000}
  - {name: udp, port: 9000, protocol: UDP}
END
        for node in "${nodes[@]}"; do
            cat <<END
---
apiVersion: v1
kind: Pod
metadata: {name: $name-$node, namespace: $ns, labels: {app: $name, node: $node}}
spec:
  nodeName: $node
  terminationGracePeriodSeconds: 0
  containers:
  - name: backend
    image: sluice-test-backend:dev
    args: [$name-$node, --tcp, "9000", --udp, "9000", --http, "8080"]
    readinessProbe: {tcpSocket: {port: 9000}, periodSeconds: 1}
END
        done
    done
}
# pods_ready NAMESPACE: all of them, and the endpoints of the Services that select them say so.
pods_ready() {
    kubectl wait -n "$1" --for=condition=Ready pods --all --timeout=60s >/dev/null
    local service
    for service in $(kubectl get service -n "$1" -o jsonpath='{range .items[?(@.spec.selector)]}{.metadata.name}{"\n"}{end}'); do
        wait_until 30 "the endpoints of $1/$service" endpoints_ready "$1" "$service"
    done
}
endpoints_ready() {
    local selector pods endpoints
    selector=$(kubectl get service -n "$1" "$2" -o json | jq -r '.spec.selector | to_entries | map("\(.key)=\(.value)") | join(",")')
    pods=$(kubectl get pods -n "$1" -l "$selector" -o name | wc -l)
    endpoints=$(kubectl get endpointslices -n "$1" -l "kubernetes.io/service-name=$2" -o json |
        jq '[.items[].endpoints[]? | select(.conditions.ready)] | length')
    [ "$endpoints" = "$pods" ]
}

# start_lab SLUICE: of ${nodes[@]}, with the DaemonSet of this program and the Service "web".
start_lab() {
    lab up ${#nodes[@]}
    lab crds >/dev/null
    "$root/tests/lab/image" sluice:dev "$1"
    "$root/tests/lab/image" sluice-test-backend:dev "$BUILD/tests/sluice-test-backend"
    kubectl apply -k "$root/deploy/daemonset"
    kubectl apply -f "$e2e/pools.yaml"
    rolled_out
    nsenter --net=/run/netns/gwlab-client ip route add 203.0.113.8/29 dev eth0
    backends default web | apply
    pods_ready default
}

# gateway NAME: one with HTTP on 80 and TCP on 9000, and routes to the Service "web".
gateway() {
    cat <<END
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: $1}
spec:
  gatewayClassName: sluice
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: tcp, port: 9000, protocol: TCP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: $1}
spec:
  parentRefs: [{name: $1, sectionName: http}]
  rules: [{backendRefs: [{name: web, port: 8080}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: $1}
spec:
  parentRefs: [{name: $1, sectionName: tcp}]
  rules: [{backendRefs: [{name: web, port: 9000}]}]
END
}
