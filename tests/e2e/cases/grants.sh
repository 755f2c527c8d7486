#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ReferenceGrants are honoured at once, both ways: without one live HTTP turns to 500 and TCP is refused.
. "$(dirname "$0")/../lib.sh"
begin_case

kubectl create namespace other --dry-run=client -o yaml | apply
backends other store | apply
gateway granted | sed 's/backendRefs: \[{name: web,/backendRefs: [{name: store, namespace: other,/' | apply
grant() {
    cat <<END
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: routes, namespace: other}
spec:
  from:
  - {group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}
  - {group: gateway.networking.k8s.io, kind: TCPRoute, namespace: default}
  to: [{group: "", kind: Service}]
END
}
pods_ready other
wait_programmed default granted
vip=$(gateway_address default granted)
answers() { expect_ok "$(client http --to "$vip:80" -n 20 -c 2 --status "$1")"; }
expect_ok() { jq -e '.failed == 0' <<<"$1"; }
is_refused() { [ "$(client connections --to "$vip:9000" -n 5 --timeout-ms 500 | jq .failed)" = 5 ]; }
is_served() { expect_ok "$(client connections --to "$vip:9000" -n 5)"; }
for round in 1 2; do
    wait_until 2 "500 without a grant ($round)" answers 500
    wait_until 2 "TCP is refused without a grant ($round)" is_refused
    grant | apply
    wait_until 2 "200 with a grant ($round)" answers 200
    wait_until 2 "TCP is served with a grant ($round)" is_served
    kubectl delete referencegrant -n other routes >/dev/null
done
wait_until 2 "500 at the end" answers 500
