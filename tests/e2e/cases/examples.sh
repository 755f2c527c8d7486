#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The example manifests by kubectl: TCP, UDP and HTTP are answered through pool addresses, by backends on both nodes.
. "$(dirname "$0")/../lib.sh"
begin_case

backends default blue green red | apply
kubectl apply -f "$root/examples/mixed/gateway.yaml" -f "$root/examples/mixed/routes.yaml" >/dev/null
pods_ready default
wait_programmed default mixed
vip=$(gateway_address default mixed)
[ "$vip" = 203.0.113.10 ] || fail "the address is $vip"
all='["blue-n1", "blue-n2", "green-n1", "green-n2", "red-n1", "red-n2"]'
expect "$(client http --to "$vip:80" -n 600)" ".failed == 0 and (.names | keys) == $all" "HTTP"
expect "$(client udp --to "$vip:9000" -n 300)" ".failed == 0 and (.names | keys) == $all" "UDP"
tcp=$(client connections --to "$vip:9000" -n 1000)
expect "$tcp" '.failed == 0 and (.names | keys) == ["blue-n1", "blue-n2", "green-n1", "green-n2"]' "TCP"
expect "$tcp" '.names["green-n1"] + .names["green-n2"] | . >= 60 and . <= 140' "a tenth of the connections"
[ "$(owner_of "$vip" | wc -l)" = 1 ] || fail "the nodes with $vip: $(owner_of "$vip")"

# The Service that stands for the Gateway, and what `kubectl describe` says.
service() { kubectl get service -o json -l gateway.networking.k8s.io/gateway-name=mixed; }
has_service() { service | jq -e "$1"; }
has_service '.items | length == 1 and (.[0].spec.ports | map(.port) | sort) == [80, 9000, 9000]' >/dev/null || fail "the Service: $(service)"
kubectl patch gateway mixed --type merge -p '{"spec":{"infrastructure":{"labels":{"team":"blue"}}}}' >/dev/null
wait_until 5 "the Service has the label" has_service '.items[0].metadata.labels.team == "blue"'
kubectl delete service mixed-sluice >/dev/null
wait_until 5 "the Service is there again" has_service '.items | length == 1'
kubectl describe gateway mixed | grep -E 'Normal +Programmed .* sluice +Programmed is True' >/dev/null ||
    fail "there is no Event: $(kubectl describe gateway mixed | sed -n '/^Events/,$p')"

kubectl apply -f "$root/examples/cross-namespace/gateway.yaml" -f "$root/examples/cross-namespace/shop.yaml" >/dev/null
kubectl create namespace backends --dry-run=client -o yaml | apply
backends backends catalogue | apply
awk 'BEGIN { RS = "---\n" } /kind: ReferenceGrant/' "$root/examples/cross-namespace/backends.yaml" | apply
pods_ready backends
wait_programmed platform shared
vip=$(gateway_address platform shared)
[[ $vip = 172.30.0.* ]] || fail "the address is $vip"
expect "$(client http --to "$vip:80" --host shop.example.com -n 200)" \
    '.failed == 0 and (.names | keys) == ["catalogue-n1", "catalogue-n2"]' "HTTP across namespaces"
