#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The rights of deploy/daemonset/rbac.yaml are the least that works, by the API server's audit log of this lab: nothing was
# denied to the agents, and every verb that they were given was used.
. "$(dirname "$0")/../lib.sh"
begin_case

user=system:serviceaccount:sluice-system:sluice
# What refers to Secrets and ConfigMaps, so that these are read.
apply <<'END'
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: referring}
spec:
  gatewayClassName: sluice
  listeners:
  - name: https
    port: 443
    protocol: HTTPS
    tls: {certificateRefs: [{name: missing}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: referring}
spec:
  targetRefs: [{group: "", kind: Service, name: web}]
  validation: {hostname: web, caCertificateRefs: [{group: "", kind: ConfigMap, name: missing}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: referring}
spec:
  parentRefs: [{name: referring}]
  rules: [{backendRefs: [{name: web, port: 8080}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: referring}
spec:
  parentRefs: [{name: referring}]
  hostnames: [referring.example.com]
  rules: [{backendRefs: [{name: web, port: 8080}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: referring}
spec:
  parentRefs: [{name: referring}]
  rules: [{backendRefs: [{name: web, port: 9000}]}]
END
patch() { kubectl patch gateway referring --type merge -p "{\"spec\":{\"infrastructure\":{\"labels\":{\"team\":\"$1\"}}}}" >/dev/null; }
has_team() { [ "$(kubectl get service referring-sluice -o 'jsonpath={.metadata.labels.team}')" = "$1" ]; }
for team in one two; do
    patch $team
    wait_until 10 "the Gateway's Service has the label" has_team $team
done
# asked [CONDITION]: group, resource and verb of what the agents asked for, where the jq condition on the event holds.
asked() {
    jq -r --arg user "$user" "select(${1:-true})"' | select(.user.username == $user and .objectRef != null) |
        [.objectRef.apiGroup // "", .objectRef.resource + (if .objectRef.subresource then "/" + .objectRef.subresource else "" end), .verb] |
        join(" ")' "$LAB_DIR/log/audit.log" | sort -u
}
given() {
    kubectl get clusterrole,role -n sluice-system sluice -o json 2>/dev/null | jq -r '.items[].rules[] |
        [.apiGroups[]] as $groups | [.resources[]] as $resources | .verbs[] as $verb | $groups[] as $group |
        $resources[] | "\($group) \(.) \($verb)"' | sort -u
}
unused() { comm -13 <(asked) <(given); }
all_used() { [ -z "$(unused)" ]; }
# A node's Lease is deleted when its agent ends for good, which it does where no other may run.
only_on() { kubectl patch ds -n sluice-system sluice --type merge -p "{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":$1}}}}" >/dev/null; }
only_on '{"no": "node"}'
for _ in $(seq 120); do ! all_used || break; sleep 0.5; done
only_on null
rolled_out
kubectl delete backendtlspolicy referring >/dev/null  # it is no good, and its Service is the other cases' too
[ -n "$(given)" ] || fail "there are no rules"
all_used || fail "given, and not used: $(unused | tr '\n' ';')"
# An API server that starts refuses all for a moment, until it has read the rules: what they give was not denied by them.
denied=$(comm -23 <(asked '.responseStatus.code == 403') <(given))
[ -z "$denied" ] || fail "denied: $(tr '\n' ';' <<<"$denied")"
say "$(given | wc -l) verbs given, all used, none denied"
